import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import addFormats from 'ajv-formats'
import type { ApiAnswer } from './api.ts'
import type { House } from './house.ts'

// biome-ignore lint/suspicious/noExplicitAny: schemas are read as they come
export type Schema = Record<string, any>

/** One operation as the document of a running provider has it. */
export interface Operation {
  id: string
  method: string
  /** as in `/accounts/{id}` */
  path: string
  permission: 'read' | 'write'
  roles: string[]
  parameters: Array<{ name: string; in: string; required: boolean; schema: Schema }>
  body: Schema | undefined
  answers: Record<string, { content?: Record<string, { schema: Schema }> }>
}

export type Contract = Awaited<ReturnType<typeof readContract>>

/** The document of a house's API, read as a program would, with a judge of answers. */
export async function readContract(house: House) {
  const response = await fetch(`${house.url}/api/admin/v1/openapi.json`)
  const document = JSON.parse(await response.text())
  const ajv = new Ajv2020({ strict: false, allErrors: true })
  addFormats.default(ajv)
  ajv.addSchema({ $id: 'api', components: document.components })
  const compiled = new Map<Schema, ValidateFunction>()
  const operations = Object.entries<Schema>(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, one]) => operationOf(path, method, one)),
  )

  function validatorOf(schema: Schema): ValidateFunction {
    const text = JSON.stringify(schema).replaceAll('"#/components/', '"api#/components/')
    const validate = compiled.get(schema) ?? ajv.compile(JSON.parse(text))
    compiled.set(schema, validate)
    return validate
  }

  return {
    document,
    operations,

    resolve: (schema: Schema): Schema =>
      typeof schema.$ref === 'string'
        ? document.components.schemas[schema.$ref.split('/').at(-1) ?? '']
        : schema,

    /** Has every schema of the document compiled. @returns how many there are */
    compileAll(): number {
      const schemas: Schema[] = [
        ...Object.values<Schema>(document.components.schemas),
        ...operations.flatMap(({ parameters, body, answers }) => [
          ...parameters.map(({ schema }) => schema),
          ...(body ? [body] : []),
          ...Object.values(answers).flatMap(({ content = {} }) =>
            Object.values(content).map(({ schema }) => schema),
          ),
        ]),
      ]
      for (const schema of schemas) validatorOf(schema)
      return schemas.length
    },

    /** What is wrong with an answer by the document; undefined when nothing is. */
    faultOf({ answers }: Operation, { status, headers, json }: ApiAnswer): string | undefined {
      const documented = answers[String(status)]
      if (!documented) return `${status} is not documented: ${JSON.stringify(json)}`
      if (!documented.content) return json === undefined ? undefined : `${status} has a body`
      const [type = ''] = (headers.get('content-type') ?? '').split(';')
      const said = documented.content[type]
      if (!said) return `${status} is ${type}`
      if (!type.endsWith('json')) return undefined
      const validate = validatorOf(said.schema)
      return validate(json) ? undefined : `${status}: ${ajv.errorsText(validate.errors)}`
    },
  }
}

function operationOf(path: string, method: string, one: Schema): Operation {
  const [, roles = ''] = /Roles: (.*)\.$/.exec(one.description) ?? []
  return {
    id: one.operationId,
    method: method.toUpperCase(),
    path,
    permission: one.security[0].token[0] === 'admin:read' ? 'read' : 'write',
    roles: roles.split(', '),
    parameters: one.parameters.filter((each: Schema) => each.name !== undefined),
    body: one.requestBody?.content['application/json']?.schema,
    answers: one.responses,
  }
}
