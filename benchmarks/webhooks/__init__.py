"""Webhooks delivered beside what people write today: `make bench-webhooks`.

Whoever delivers, the receiver and the stand-in for DynamoDB are each a process of their own.
"""
