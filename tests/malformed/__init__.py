"""Random malformed requests to the two models, over JSON, JSON with binary tensors, and gRPC.

Left out is what Triton 2.51 itself takes, or dies of; docs/serving.md lists that under "What Triton lets through".
"""
