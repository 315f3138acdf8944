/** The app that people sign in to. */
export const CLIENT = { id: 'bench', redirectUri: 'https://app.example/callback' }
/** The same, but that it takes ID tokens that are signed with ES256. */
export const ES256_CLIENT_ID = 'bench-es256'
/** Of the bare provider's; Sallyport makes one itself. */
export const BARE_SECRET = 'a secret of a bench, which protects nothing'

export const PASSWORD = 'correct horse battery'

/** So many people have a phone that texts can be sent to; beyond them there are none that are used. */
export const WITH_PHONE = 1000

/** People are numbered: those who sign in with a password alone, and those who are texted a code as well. */
export const plainName = (number: number) => `person${number}`
export const textedName = (number: number) => `texted${number}`
export const phoneOf = (number: number) => `+46701${String(number).padStart(6, '0')}`
