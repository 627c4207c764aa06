"""A gRPC server with the standard health service. It says NOT_SERVING for as many seconds as its first argument says, and
then SERVING, for the server as a whole and for the service `orders`."""

import sys
import time
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

servicer = health.HealthServicer()
names = ("", "orders")
for name in names:
    servicer.set(name, health_pb2.HealthCheckResponse.NOT_SERVING)
server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
server.add_insecure_port("[::]:50051")
server.start()
time.sleep(float(sys.argv[1]) if len(sys.argv) > 1 else 0)
for name in names:
    servicer.set(name, health_pb2.HealthCheckResponse.SERVING)
print("serving", flush=True)
server.wait_for_termination()
