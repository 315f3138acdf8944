import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parse, parseAllDocuments } from 'yaml'
import { z } from 'zod'
import { documentation } from '../../src/config/variables.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8')
const manifest = z.object({ version: z.string(), devDependencies: z.object({ node: z.string() }) })
const { version, devDependencies } = manifest.parse(JSON.parse(read('package.json')))

const variables = z.record(z.string(), z.string())

/** What commands load before the program. */
const KEEPS_COMPILED = 'src/compiled-code.js'

/** Names of variables that are given and not read. */
function unread(given: Readonly<Record<string, string>>): string[] {
  return Object.keys(given).filter((name) => !documentation.has(name))
}

/** Seconds until whoever stops it may end it by force, beside which it needs 10 for requests and 15 for the rest. */
const NEEDED_SECONDS = 25

describe('the image', () => {
  const dockerfile = read('Dockerfile')

  test('runs on the Node that is tested, as nobody, and leaves development out', () => {
    expect(dockerfile).toContain(`\nARG NODE=${devDependencies.node}\n`)
    expect(dockerfile).toMatch(/^USER (?!0\b)\d+:(?!0\b)\d+$/m)
    expect(dockerfile).toContain('npm ci --omit=dev')
    expect(dockerfile).not.toMatch(/^(ADD|ENV .*KEY)/m)
    expect(dockerfile.trimEnd().split('\n').at(-1)).toBe(
      `CMD ["node", "--import", "./${KEEPS_COMPILED}", "src/main.ts"]`,
    )
  })

  test('has compiled code for whoever runs it, made by them and root’s afterwards', () => {
    const stage = /^FROM program AS compiled\n(.+?)\n\nFROM program\n(.+)/ms.exec(dockerfile)
    const [, made = '', image = ''] = stage ?? []
    const user = /^USER (.+)$/m
    expect(user.exec(made)?.[1]).toBe(user.exec(image)?.[1])
    const [uid, gid] = user.exec(image)?.[1]?.split(':') ?? []
    expect(made.split('\n')).toEqual([
      `RUN install -d -o ${uid} -g ${gid} node_modules/.cache`,
      `USER ${uid}:${gid}`,
      'RUN node src/compile-ahead.ts && chmod -R a+rX node_modules/.cache',
    ])
    const copied = '/app/node_modules/.cache node_modules/.cache'
    expect(image).toContain(`COPY --from=compiled --chown=0:0 ${copied}\n`)
    expect(read(KEEPS_COMPILED)).toContain('../node_modules/.cache/')
  })

  test('is made of what .dockerignore lets through, and that is all there', () => {
    const ignore = read('.dockerignore').split('\n')
    expect(ignore).toContain('*')
    const kept = ignore.filter((line) => line.startsWith('!')).map((line) => line.slice(1))
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(?:--chmod=\d+ )?(.+) \S+$/gm)].flatMap(
      ([, sources = '']) => sources.split(' '),
    )
    expect([...new Set(copied)].sort()).toEqual(kept.toSorted())
    // What the code reads beside itself.
    const besides = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
      .filter((path) => path.endsWith('.ts'))
      .flatMap((path) =>
        [...read(`src/${path}`).matchAll(/'((?:\.\.\/)+[^']+)'(?=, import\.meta|\))/g)].map(
          ([, target = '']) => relative(ROOT, resolve(ROOT, 'src', dirname(path), target)),
        ),
      )
      .filter((path) => !path.startsWith('src/') && !path.startsWith('node_modules/'))
    expect(besides.length).toBeGreaterThan(3)
    for (const path of besides) expect(kept).toContain(path)
  })
})

describe('compose.yaml', () => {
  const service = z.object({
    image: z.string(),
    user: z.string().default('0:0'),
    environment: variables.default({}),
    read_only: z.literal(true),
    cap_drop: z.tuple([z.literal('ALL')]),
    security_opt: z.tuple([z.literal('no-new-privileges:true')]),
    networks: z.array(z.string()).default([]),
    restart: z.enum(['unless-stopped', 'no']),
    depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
    ports: z.array(z.string()).default([]),
    stop_grace_period: z.string().default('10s'),
    healthcheck: z.object({ test: z.array(z.string()) }).optional(),
  })
  const { services } = z
    .object({ services: z.record(z.string(), service) })
    .parse(parse(read('compose.yaml'), { merge: true }))
  const instances = Object.entries(services).filter(([name]) => name.startsWith('sallyport'))
  const caddyfile = read('deploy/Caddyfile')

  test('has two instances that nobody reaches but the proxy, by variables that are read', () => {
    expect(instances).toHaveLength(2)
    for (const [
      name,
      { environment, ports, networks, healthcheck, stop_grace_period },
    ] of instances) {
      expect(unread(environment)).toEqual([])
      expect(environment).toMatchObject({ NODE_ENV: 'production', TRUST_PROXY: '1' })
      expect(ports).toEqual([])
      expect(networks).toContain('data')
      expect(healthcheck?.test.join(' ')).toContain(`:${environment.PORT}/readyz`)
      expect(caddyfile).toContain(`${name}:${environment.PORT}`)
      expect(Number.parseInt(stop_grace_period, 10)).toBeGreaterThanOrEqual(
        NEEDED_SECONDS + Number(environment.DRAIN_SECONDS),
      )
    }
    expect(services.proxy?.networks).not.toContain('data')
    expect(services.postgres?.networks).toEqual(['data'])
    expect(services.postgres?.image).toMatch(/^postgres:18\.\d/)
  })

  test('runs nothing for long as root but what gives that up by itself', () => {
    const asRoot = Object.entries(services).filter(([, { user }]) => /^0\b|^root/.test(user))
    expect(asRoot.map(([name]) => name)).toEqual(['proxy-volumes', 'postgres'])
    expect(services['proxy-volumes']).toMatchObject({ restart: 'no', networks: [] })
    expect(services.proxy?.depends_on['proxy-volumes']).toEqual({
      condition: 'service_completed_successfully',
    })
    expect(services['proxy-volumes']?.image).toBe(services.proxy?.image)
  })

  test('has a proxy that asks for readiness and keeps the metrics to itself', () => {
    expect(caddyfile).toContain('health_uri /readyz')
    expect(caddyfile).toContain('respond /metrics 404')
  })
})

describe('the Kubernetes manifests', () => {
  const folder = 'deploy/kubernetes'
  const documents = readdirSync(join(ROOT, folder)).flatMap((name) =>
    parseAllDocuments(read(`${folder}/${name}`)).map((document): unknown => document.toJS()),
  )
  const meta = z.object({ kind: z.string(), metadata: z.object({ name: z.string() }).optional() })
  const ofKind = <T extends z.ZodType>(kind: string, schema: T): z.output<T> =>
    schema.parse(documents.find((document) => meta.parse(document).kind === kind))

  const port = z.object({ name: z.string(), containerPort: z.int() })
  const probe = z.object({ httpGet: z.object({ path: z.string(), port: z.literal('http') }) })
  const deployment = ofKind(
    'Deployment',
    z.object({
      spec: z.object({
        replicas: z.literal(2),
        template: z.object({
          spec: z.object({
            automountServiceAccountToken: z.literal(false),
            terminationGracePeriodSeconds: z.int(),
            securityContext: z.object({
              runAsNonRoot: z.literal(true),
              seccompProfile: z.object({ type: z.literal('RuntimeDefault') }),
            }),
            containers: z.tuple([
              z.object({
                ports: z.array(port),
                livenessProbe: probe,
                readinessProbe: probe,
                securityContext: z.object({
                  allowPrivilegeEscalation: z.literal(false),
                  readOnlyRootFilesystem: z.literal(true),
                  capabilities: z.object({ drop: z.tuple([z.literal('ALL')]) }),
                }),
              }),
            ]),
          }),
        }),
      }),
    }),
  )
  const { data } = ofKind('ConfigMap', z.object({ data: variables }))
  const { stringData } = ofKind('Secret', z.object({ stringData: variables }))
  const { spec } = deployment.spec.template
  const [container] = spec.containers

  test('set variables that are read, and each where it belongs', () => {
    expect(unread({ ...data, ...stringData })).toEqual([])
    for (const name of Object.keys(data))
      expect(documentation.get(name)?.secret, name).toBe(undefined)
    for (const [name, value] of Object.entries(stringData))
      expect(value, name).toContain('change-me')
  })

  test('ask where it answers, and give it the time it takes to stop', () => {
    const ports = Object.fromEntries(container.ports.map((one) => [one.name, one.containerPort]))
    expect(ports).toEqual({ http: Number(data.PORT), metrics: Number(data.METRICS_PORT) })
    expect(container.livenessProbe.httpGet.path).toBe('/healthz')
    expect(container.readinessProbe.httpGet.path).toBe('/readyz')
    expect(spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(
      NEEDED_SECONDS + Number(data.DRAIN_SECONDS),
    )
  })

  test('are all named by the kustomization but the example, with the version there is', () => {
    const { resources, images } = ofKind(
      'Kustomization',
      z.object({
        resources: z.array(z.string()),
        images: z.tuple([z.object({ newTag: z.string() })]),
      }),
    )
    const files = readdirSync(join(ROOT, folder)).filter(
      (name) => !/^(kustomization|secret\.example)\.yaml$/.test(name),
    )
    expect(resources.toSorted()).toEqual(files.toSorted())
    expect(images[0].newTag).toBe(version)
  })
})

test('the page of these files names the version there is, and has the commands that keep compiled code', () => {
  const page = read('docs/deploy.md')
  const named = [...page.matchAll(/\bsallyport:(\d[\w.-]*)/g)].map(([, tag]) => tag)
  expect(new Set(named)).toEqual(new Set([version]))
  expect(page).not.toMatch(/\bv\d+\.\d/)
  const unit = read('deploy/systemd/sallyport.service')
  const [, user] = /^User=(\w+)$/m.exec(unit) ?? []
  const [, node] =
    /^ExecStart=(\S+) --import \.\/src\/compiled-code\.js src\/main\.ts$/m.exec(unit) ?? []
  expect(page).toContain(`\ninstall -d -o ${user} node_modules/.cache\n`)
  expect(page).toContain(`\nrunuser -u ${user} -- ${node} src/compile-ahead.ts\n`)
})

test('the systemd unit sets variables that are read, and gives it the time it takes to stop', () => {
  const unit = read('deploy/systemd/sallyport.service')
  const set = [...unit.matchAll(/^Environment=(.+)$/gm)].flatMap(([, all = '']) => all.split(' '))
  expect(unread(Object.fromEntries(set.map((one) => one.split('=', 2))))).toEqual([])
  const started = /^ExecStart=(\S+)\/node_modules\/\.bin\/node --import \S+ src\/main\.ts$/m
  const page = read('docs/deploy.md')
  expect(page).toContain(
    `npm install --prefix ${started.exec(unit)?.[1]} node@${devDependencies.node} `,
  )
  expect(page).toMatch(/^cd \/opt\/sallyport && npm ci --omit=dev$/m)
  expect(Number(/^TimeoutStopSec=(\d+)$/m.exec(unit)?.[1])).toBeGreaterThanOrEqual(NEEDED_SECONDS)
})
