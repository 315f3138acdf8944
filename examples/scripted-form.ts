import type { HTMLElement } from 'node-html-parser'

/** Which form is meant; what is given must all fit. */
export interface FormQuery {
  /** a field of this name is in it */
  has?: string
  /** it has a button with this text, or one that begins with it; the form is sent by that button */
  button?: string | RegExp
  /** its address ends in this path */
  action?: string
}

/** What is typed into fields: a list for repeated fields, `null` to leave a field out. */
export type FieldValues = Record<string, string | readonly string[] | null>

export interface Form {
  method: 'GET' | 'POST'
  /** absolute URL */
  action: string
  /** fields as they stand on the page, hidden ones too; of repeated fields the last */
  fields: Readonly<Record<string, string>>
  /** texts of its buttons */
  buttons: readonly string[]
  element: HTMLElement
  /** What would be sent with these fields filled in. */
  fill(values: FieldValues): URLSearchParams
}

interface Candidate extends Form {
  pressed: HTMLElement | undefined
}

const NEVER_SENT = new Set(['submit', 'button', 'image', 'reset', 'file'])

/** Finds a form on a page. @throws Error listing the forms there are */
export function findForm(document: HTMLElement, query: FormQuery, url: string): Form {
  const forms = document
    .querySelectorAll('form')
    .map((element) => read(document, element, query, url))
  const found = forms.find(
    (form) =>
      (query.has === undefined || Object.hasOwn(form.fields, query.has)) &&
      (query.button === undefined || form.pressed !== undefined) &&
      (query.action === undefined || new URL(form.action).pathname.endsWith(query.action)),
  )
  if (found) return found
  const there = forms.map(
    ({ method, action, fields, buttons }) =>
      `  ${method} ${action} with ${Object.keys(fields).join(', ')}; buttons: ${buttons.join(', ')}`,
  )
  const wanted = Object.entries(query).map(([key, value]) => `${key} ${value}`)
  const title = document.querySelector('title')?.text ?? 'no title'
  throw new Error(
    [`No form (${wanted.join(', ')}) on ${url}, “${title}”. Forms there:`, ...there].join('\n'),
  )
}

function read(
  document: HTMLElement,
  element: HTMLElement,
  query: FormQuery,
  url: string,
): Candidate {
  // Controls may stand outside their form and name it by its id.
  const id = element.getAttribute('id')
  const own = document
    .querySelectorAll('input, select, textarea, button')
    .filter((control) => (control.getAttribute('form') ?? id) === id)
    .filter((control) => control.hasAttribute('form') || control.closest('form') === element)
    .filter((control) => !control.hasAttribute('disabled'))
  const buttons = own.filter(isSubmit)
  const pressed =
    query.button === undefined ? buttons[0] : buttons.find((button) => fits(button, query.button))
  const entries = own.flatMap(entriesOf)
  return {
    method: element.getAttribute('method')?.toUpperCase() === 'POST' ? 'POST' : 'GET',
    action: new URL(element.getAttribute('action') ?? '', url).href,
    fields: Object.fromEntries(entries),
    buttons: buttons.map(labelOf),
    element,
    pressed,
    fill(values) {
      const sent = new URLSearchParams(entries)
      const name = pressed?.getAttribute('name')
      if (name) sent.append(name, pressed?.getAttribute('value') ?? '')
      for (const [field, value] of Object.entries(values)) {
        sent.delete(field)
        for (const one of typeof value === 'string' ? [value] : (value ?? [])) {
          sent.append(field, one)
        }
      }
      return sent
    },
  }
}

/** What a control sends if nobody touches it. */
function entriesOf(control: HTMLElement): [string, string][] {
  const name = control.getAttribute('name')
  const type = control.getAttribute('type')?.toLowerCase() ?? ''
  if (!name || control.tagName === 'BUTTON' || NEVER_SENT.has(type)) return []
  if (control.tagName === 'TEXTAREA') return [[name, control.text]]
  if (control.tagName === 'SELECT') {
    const options = control.querySelectorAll('option')
    const chosen = options.find((option) => option.hasAttribute('selected')) ?? options[0]
    return chosen ? [[name, chosen.getAttribute('value') ?? chosen.text.trim()]] : []
  }
  if (type === 'checkbox' || type === 'radio') {
    return control.hasAttribute('checked') ? [[name, control.getAttribute('value') ?? 'on']] : []
  }
  return [[name, control.getAttribute('value') ?? '']]
}

function isSubmit(control: HTMLElement): boolean {
  const type = control.getAttribute('type')?.toLowerCase()
  return control.tagName === 'BUTTON'
    ? type === undefined || type === 'submit'
    : control.tagName === 'INPUT' && type === 'submit'
}

function labelOf(button: HTMLElement): string {
  const text = button.tagName === 'INPUT' ? button.getAttribute('value') : button.text
  return (text ?? '').replace(/\s+/g, ' ').trim()
}

function fits(button: HTMLElement, wanted: string | RegExp | undefined): boolean {
  if (wanted === undefined) return true
  const label = labelOf(button)
  return typeof wanted === 'string' ? label.startsWith(wanted) : wanted.test(label)
}
