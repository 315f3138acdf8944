import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import nunjucks from 'nunjucks'
import { expect, test } from 'vitest'
import { VIEWS } from '../../src/web/templates.ts'

const names = readdirSync(VIEWS, { recursive: true, encoding: 'utf8' }).filter((name) =>
  name.endsWith('.njk'),
)
const making = readFileSync(resolve(import.meta.dirname, '../../src/web/templates.ts'), 'utf8')
const filters = [...making.matchAll(/\.addFilter\('(\w+)'/g)].map(([, name = '']) => name)

// A template is compiled when somebody first asks for it, who would be the one to find out.
test('every template compiles, and asks only for templates and filters that are there', () => {
  const environment = new nunjucks.Environment()
  for (const name of filters) environment.addFilter(name, String)
  expect(names.length).toBeGreaterThan(50)
  for (const name of names) {
    const text = readFileSync(join(VIEWS, name), 'utf8')
    const code = nunjucks.precompileString(text, { name, env: environment })
    const asked = (pattern: RegExp) => [...code.matchAll(pattern)].map(([, one = '']) => one)
    expect(names, name).toEqual(expect.arrayContaining(asked(/env\.getTemplate\("([^"]+)"/g)))
    for (const filter of asked(/env\.getFilter\("([^"]+)"/g)) environment.getFilter(filter)
  }
})
