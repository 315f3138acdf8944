import { registerHooks } from 'node:module'

const STAND_IN = new URL('no-hash.ts', import.meta.url).href

/** Loaded before a provider, it has passwords judged by comparing them: what is left is the cost of all the rest. */
registerHooks({
  resolve: (specifier, context, next) =>
    specifier === '@node-rs/argon2' && context.parentURL !== STAND_IN
      ? { url: STAND_IN, shortCircuit: true }
      : next(specifier, context),
})
