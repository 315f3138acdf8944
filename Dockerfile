# syntax=docker/dockerfile:1

# The same Node as the development dependency `node` in package.json; the test of these files compares them.
ARG NODE=24.21.0

# What production needs of the packages, and nothing of development.
FROM node:${NODE}-trixie-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev && npm cache clean --force

FROM node:${NODE}-trixie-slim AS program
LABEL org.opencontainers.image.title="Sallyport" \
      org.opencontainers.image.licenses="Apache-2.0"
# Nothing is installed in a running container.
RUN rm -rf /usr/local/lib/node_modules /opt/yarn-* \
      /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack /usr/local/bin/yarn /usr/local/bin/yarnpkg
WORKDIR /app
COPY --from=packages /app/node_modules node_modules
COPY package.json LICENSE ./
COPY languages languages
COPY migrations migrations
COPY views views
COPY src src
COPY --chmod=755 deploy/sallyport /usr/local/bin/sallyport

# What Node makes of the modules, so that a start needn't. Node reads what the same user made, and it must be readable
# to them once it is root's.
FROM program AS compiled
RUN install -d -o 1000 -g 1000 node_modules/.cache
USER 1000:1000
RUN node src/compile-ahead.ts && chmod -R a+rX node_modules/.cache

FROM program
COPY --from=compiled --chown=0:0 /app/node_modules/.cache node_modules/.cache

ENV NODE_ENV=production \
    PORT=3000
EXPOSE 3000
# Owned by root, so whoever comes to run code in it can't change the program.
USER 1000:1000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.PORT}/healthz`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# Without a shell in between, so that SIGTERM reaches it.
CMD ["node", "--import", "./src/compiled-code.js", "src/main.ts"]
