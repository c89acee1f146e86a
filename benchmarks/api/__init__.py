"""What the hook costs: beside Airflow's own version route, without its token check, in batches."""
