import type { OutboxMessage } from '../messaging/gateways/outbox.ts'
import type { OpenChallenge } from '../second-factor/look.ts'
import type { AccountPageData } from './account/page-data.ts'
import type { ConsolePageData } from './admin/page-data.ts'

/** Every page's forms carry it. */
interface Form {
  formToken: string
}

/** A form that the provider takes, with its token. */
interface ProvidersForm {
  actionUrl: string
  xsrf: string
}

/** What the pages of a sign-in, and those of a change at `/account` that look like them, have in common. */
interface Step extends Form {
  app: string | null
  actionUrl: string
  cancelUrl: string
  /** to begin anew with another account; null where that makes no sense */
  restartUrl: string | null
  error: string | null
}

/** Which page takes what. `app` is the client's display name: untrusted, and null where none is known. */
export interface PageData extends AccountPageData, ConsolePageData {
  login: Form & {
    app: string | null
    actionUrl: string
    cancelUrl: string
    /** null where no mail can be sent */
    forgottenUrl: string | null
    username: string
    error: string | null
  }
  code: Step & {
    resendUrl: string
    /** masked, like `••• ••• 21`; null when the authenticator app is asked */
    phone: string | null
    length: number
    minutesLeft: number
    triesLeft: number
    channel: OpenChallenge['channel']
    delivery: OpenChallenge['delivery']
    problem: OpenChallenge['problem']
    /** whether it was sent again by another gateway, since the first one didn't deliver it */
    rerouted: boolean
    /** whether the page looks again by itself what became of it */
    live: boolean
    /** to hear the code by a call instead */
    callUrl: string | null
    errorCode: string | null
    resendInSeconds: number
    sendsLeft: number
    host: string
    /** to choose another phone, by its id in the field `phone` */
    phoneUrl: string
    otherPhones: ReadonlyArray<{ id: string; masked: string; label: string | null }>
    /** to use the authenticator app instead */
    appUrl: string | null
    /** to use a backup code instead */
    backupUrl: string | null
    /** to type another number, where one is being proven */
    otherNumberUrl: string | null
    /** for how many days this browser can be remembered; 0: it can't */
    rememberDays: number
  }
  'backup-code': Step & {
    /** back to the code; null where no other way is open */
    codeUrl: string | null
    /** set when few are left, so that it is time for new ones */
    errorCode: string | null
    fewLeft: number | null
    triesLeft: number
    rememberDays: number
  }
  /** Someone signed in with a password alone is asked for the rest. */
  'step-up': Step & { accountName: string; passwordUrl: string }
  /** A first phone, or one more. */
  'add-phone': Step & {
    number: string
    country: string
    countries: ReadonlyArray<{ code: string; name: string; dial: string }>
    /** to add an authenticator app instead; null where there is one */
    appUrl: string | null
    /** whether the password is asked for, too */
    askPassword?: boolean
  }
  'add-app': Step & {
    /** inline SVG, drawn by us */
    qr: string
    /** in groups of four */
    secret: string
    length: number
    triesLeft: number
    /** to add a phone instead; null where it isn't one or the other */
    otherUrl: string | null
  }
  /** A first factor is there; backup codes are still to be had. */
  enrolled: Step & { continueUrl: string }
  /** Shown once. */
  'backup-codes': Step & { codes: readonly string[]; continueUrl: string; brandName: string }
  /** A sign-in step that can't go on. */
  ended: Form & {
    app: string | null
    restartUrl: string | null
    /** what the button to restartUrl says */
    restartText: string
    cancelUrl: string | null
    title: string
    message: string | null
    retryInMinutes: number | null
    /** to type the code that was asked for after all */
    codeUrl: string | null
    /** to use a backup code instead */
    backupUrl: string | null
    /** to have the code sent to another phone, by its id in the field `phone` */
    phoneUrl: string
    otherPhones: ReadonlyArray<{ id: string; masked: string; label: string | null }>
    /** to have the code said by a call to a phone that takes no texts */
    callUrl: string
    call: { id: string; masked: string; label: string | null } | null
    /** why, in a word for programs */
    code: string | null
  }
  /** Asks for the code that a device shows. */
  device: ProvidersForm & {
    userCode: string
    error: string | null
    retryInMinutes: number | null
  }
  /** Asks whether it is the person's own device. */
  'device-confirm': ProvidersForm & {
    app: string
    code: string
    items: readonly string[]
  }
  /** How it ended with a device. */
  'device-told': { title: string; message: string; againUrl: string | null }
  consent: Form & {
    app: string | null
    accountName: string
    actionUrl: string
    cancelUrl: string
    /** `named`: the title is a claim's own name, in no language */
    items: ReadonlyArray<{ title: string; detail: string; named: boolean }>
    /** null where it isn't a browser that goes on */
    appHost: string | null
  }
  /** `formHtml` is the provider's own form, the only value that is not escaped. */
  logout: { app: string | null; formHtml: string; host: string }
  'logged-out': { app: string | null }
  error: {
    title: string
    message: string
    /** what language the message is in, where it isn't the page's */
    messageTag: string | null
    requestId: string | null
    /** for whoever connects the app, in English */
    hint: string | null
  }
  home: { issuer: string }
  'password-forgotten': Form & { actionUrl: string; error: string | null }
  'password-choice': Form & {
    actionUrl: string
    username: string
    /** of someone who never had one */
    first: boolean
    error: string | null
    /** 0 to 4, of a password that was too weak */
    strength: number | null
  }
  /** What has become of it, and where it goes on. */
  'password-told': {
    title: string
    message: string
    retryInMinutes: number | null
    next: { url: string; text: string } | null
  }
  outbox: {
    /** newest first */
    messages: ReadonlyArray<OutboxMessage>
    development: boolean
  }
}

export type PageName = keyof PageData
