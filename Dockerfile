# The image of every Airflow process: Airflow, its executor and Remit, exactly as constraints.txt pins
# them. `docker build .` makes that; the target `local-aws` is an AWS for trying it out.

FROM python:3.12.11-slim-bookworm AS base
ENV AIRFLOW_HOME=/opt/airflow \
    AIRFLOW__CORE__DAGS_FOLDER=/opt/remit/dags \
    AIRFLOW__CORE__LOAD_EXAMPLES=False \
    AIRFLOW__CORE__PLUGINS_FOLDER=/opt/remit/plugins \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore \
    PYTHONPATH=/opt/remit/plugins \
    PYTHONUNBUFFERED=1
WORKDIR /opt/remit
# Before the code, so that a change to the code does not install everything anew.
COPY requirements.txt requirements-distributed.txt constraints.txt ./
RUN pip install --no-cache-dir -r requirements-distributed.txt -c constraints.txt
# A new volume takes owner and mode from the directory of the image that it is mounted on.
RUN useradd --uid 50000 --gid 0 --home-dir /opt/airflow --no-create-home airflow \
    && install -d -o airflow -g 0 -m 0775 /opt/airflow /opt/airflow/logs /opt/airflow/auth

FROM base AS local-aws
RUN pip install --no-cache-dir 'moto[server]' -c constraints.txt
COPY demo demo
USER airflow
EXPOSE 5055
CMD ["python", "-m", "demo.aws", "--host", "0.0.0.0", "--port", "5055"]

FROM base AS remit
COPY include include
COPY infra infra
COPY plugins plugins
COPY dags dags
USER airflow
EXPOSE 8080 8081
CMD ["airflow", "version"]
