# syntax=docker/dockerfile:1

FROM --platform=$BUILDPLATFORM node:24-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.ts scripts/build.ts
COPY src src
RUN npm run build
# The image brings its own Node.js: the bundled one, an optional dependency, stays out. No dependency is native,
# so what was built on one platform runs on the other.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24-bookworm-slim
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="dms-taskwatch" \
      org.opencontainers.image.description="Watches the background tasks of managed message-queue instances and tells people when one fails or hangs." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
ENV NODE_ENV=production \
    TASKWATCH_REVISION="${REVISION}" \
    TASKWATCH_STORE_URL=sqlite:/data/taskwatch.db
WORKDIR /app
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY bin bin
COPY package.json LICENSE ./
# For `docker exec … dms-taskwatch tasks`.
RUN ["node", "-e", "require('fs').symlinkSync('/app/bin/dms-taskwatch.js', '/usr/local/bin/dms-taskwatch')"]
# Owned by the user that runs: a volume mounted here for the first time takes it over.
RUN ["node", "-e", "const fs = require('fs'); fs.mkdirSync('/data'); fs.chownSync('/data', 1000, 1000)"]
USER 1000:1000
VOLUME /data
EXPOSE 10464
HEALTHCHECK --interval=15s --timeout=5s --start-period=20s \
  CMD ["node", "/app/dist/healthcheck.js"]
# Its first line has the flags of Node.js.
ENTRYPOINT ["/app/bin/dms-taskwatch.js"]
CMD ["run"]
