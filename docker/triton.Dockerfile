# Triton with what the model image_search imports: redis, pillow, numba, and hashgrain's packages codes and indexer.
# Build it from the root of the tree: docker build -f docker/triton.Dockerfile -t hashgrain-triton .
ARG TRITON_IMAGE=nvcr.io/nvidia/tritonserver:26.08-py3
FROM ${TRITON_IMAGE}

USER root

# NumPy stays as the base image brings it: its Python backend was built and tested with that one.
RUN python3 -m pip install --no-cache-dir --break-system-packages "redis[hiredis]>=8.1" "pillow>=10.3" "numba>=0.61"

# Not installed by pip, since that is all or nothing of hashgrain. A .pth file, because Triton's Python is started
# isolated and reads no PYTHONPATH. The import at the end fails the build where a package is missing.
COPY indexer/hashgrain /opt/hashgrain/hashgrain
RUN python3 -c "import pathlib, sysconfig; folder = pathlib.Path(sysconfig.get_path('purelib')); \
folder.mkdir(parents=True, exist_ok=True); (folder / 'hashgrain.pth').write_text('/opt/hashgrain\n')" \
    && cd / && python3 -c "import hashgrain.codes.images, hashgrain.indexer"

# The search's loops, compiled for the processor that builds; another kind compiles them once more when it starts.
ENV NUMBA_CACHE_DIR=/opt/numba
RUN cd / && python3 -c "from hashgrain.codes import CodeLayout; from hashgrain.indexer.searching.warming import warm_up; \
warm_up(CodeLayout())" && chmod -R a+rwX /opt/numba

COPY model_repository /models

USER 1000:1000
EXPOSE 8000 8001 8002

HEALTHCHECK --interval=5s --timeout=5s --retries=6 --start-period=300s \
    CMD ["curl", "--silent", "--show-error", "--fail", "--fail-early", \
         "http://127.0.0.1:8000/v2/health/ready", \
         "http://127.0.0.1:8000/v2/models/hash_encoder/ready", \
         "http://127.0.0.1:8000/v2/models/image_search/ready"]

# The base image's entrypoint stays: it makes newer CUDA libraries work with older drivers, and ends in `exec`.
CMD ["tritonserver", \
     "--model-repository=/models", \
     "--model-control-mode=none", \
     "--disable-auto-complete-config", \
     "--strict-readiness=true", \
     "--exit-on-error=true", \
     "--exit-timeout-secs=20", \
     "--log-verbose=0"]
