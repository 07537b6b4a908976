# An image with the command line and both agents: `run` and `receive` are its commands. packaging/containers/README.md
ARG NODE_IMAGE=docker.io/library/node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
COPY . /context
# What `--version` tells: `--build-arg PEREGRINE_COMMIT=$(git rev-parse --short HEAD)`.
ARG PEREGRINE_COMMIT
# What the lock file says and nothing else; `deploy` has only what is needed at run time, without links. All that is
# in between stays out of the layers.
RUN --mount=type=cache,id=peregrine-pnpm,target=/var/cache/pnpm \
    --mount=type=cache,id=peregrine-npm,target=/root/.npm \
    --mount=type=tmpfs,target=/source \
    cp -R /context/. /source && cd /source \
 && pnpm="npx -y pnpm@12 --config.store-dir=/var/cache/pnpm --config.package-import-method=copy" \
 && $pnpm install --frozen-lockfile --filter "@peregrine/cli..." \
 && node packages/cli/build.ts \
 && $pnpm --filter @peregrine/cli deploy --prod \
      --config.node-linker=hoisted --config.inject-workspace-packages=true /source/deployed \
 # What was built has the packages of the workspace in it.
 && rm -rf deployed/node_modules/@peregrine deployed/node_modules/.[!.]* \
 && mkdir /application \
 && cp -R deployed/node_modules deployed/package.json packages/cli/dist packaging/containers/healthcheck.mjs LICENSE /application \
 && install -m 0755 packaging/containers/peregrine /application/peregrine

FROM ${NODE_IMAGE}
LABEL org.opencontainers.image.title="Peregrine" \
      org.opencontainers.image.description="Live migration for running WebAssembly programs" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 peregrine \
 && useradd --uid 10001 --gid peregrine --home-dir /nonexistent --no-create-home --shell /usr/sbin/nologin peregrine \
 && ln -s /opt/peregrine/peregrine /usr/local/bin/peregrine \
 # Volumes that are mounted here get this owner.
 && install -d -o peregrine -g peregrine -m 0700 /run/peregrine /var/lib/peregrine /var/cache/peregrine /srv/peregrine
COPY --from=build /application /opt/peregrine
# What Node is started with is explained in packages/cli/bin/launch.mjs.
ENV NODE_ENV=production \
    MALLOC_ARENA_MAX=1 \
    UV_THREADPOOL_SIZE=5 \
    PEREGRINE_RUNTIME_DIR=/run/peregrine/agents \
    XDG_CACHE_HOME=/var/cache/peregrine
USER 10001:10001
WORKDIR /var/lib/peregrine
# Nothing is written but in these: the root file system can be read-only.
VOLUME ["/run/peregrine", "/var/lib/peregrine", "/var/cache/peregrine"]
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["node", "/opt/peregrine/healthcheck.mjs"]
# It becomes Node: process 1 is the agent, and ends in order on SIGTERM.
ENTRYPOINT ["/usr/local/bin/peregrine"]
CMD ["--help"]
