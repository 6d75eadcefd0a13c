# The `hashgrain` command for encoding, indexing and searching; no torch, no server.
# Build it from the root of the tree: docker build -f docker/worker.Dockerfile -t hashgrain-worker .
ARG PYTHON_IMAGE=python:3.11-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
# The dependencies first: this layer stays while only the code changes.
COPY pyproject.toml /src/
RUN python3 -m venv /opt/hashgrain \
    && python3 -c "import tomllib; project = tomllib.load(open('/src/pyproject.toml', 'rb'))['project']; \
extras = project['optional-dependencies']; \
print(*project['dependencies'], *extras['client'], *extras['indexer'], *extras['cli'], sep='\n')" > /tmp/requirements.txt \
    && /opt/hashgrain/bin/pip install --no-cache-dir -r /tmp/requirements.txt
COPY . /src
RUN /opt/hashgrain/bin/pip install --no-cache-dir "/src[client,indexer,cli]"
# The search's loops, compiled for the processor that builds: a command would wait seconds for them in every container.
RUN NUMBA_CACHE_DIR=/opt/hashgrain/numba /opt/hashgrain/bin/python -c "from hashgrain.codes import CodeLayout; \
from hashgrain.indexer.searching.warming import warm_up; warm_up(CodeLayout())" && chmod -R a+rwX /opt/hashgrain/numba

FROM ${PYTHON_IMAGE}
COPY --from=build /opt/hashgrain /opt/hashgrain
RUN useradd --uid 1000 --create-home hashgrain
ENV PATH=/opt/hashgrain/bin:$PATH NUMBA_CACHE_DIR=/opt/hashgrain/numba
USER 1000:1000
WORKDIR /home/hashgrain
ENTRYPOINT ["hashgrain"]
CMD ["--help"]
