import { explain } from './explain.ts'

/** What the doctor found out about one thing. */
export interface Check {
  name: string
  status: 'ok' | 'warning' | 'failed'
  /** what is so; where it isn't well, what to do */
  detail: string
}

export function ok(name: string, detail: string): Check {
  return { name, status: 'ok', detail }
}

export function warning(name: string, detail: string): Check {
  return { name, status: 'warning', detail }
}

export function failed(name: string, detail: string): Check {
  return { name, status: 'failed', detail }
}

/** Makes one check; whatever it throws is a finding too. */
export async function attempt(name: string, check: () => Promise<Check>): Promise<Check> {
  try {
    return await check()
  } catch (error) {
    return failed(name, explain(error))
  }
}
