/** What every page of `/account` has. */
interface AccountPage {
  username: string
  formToken: string
  /** what was just done, in words; null when nothing was */
  done: string | null
}

/** A form for a sensitive change. */
interface Sensitive {
  actionUrl: string
  /** whether the password is asked for, too: someone who came in with a backup code types it again (BKP-11) */
  askPassword: boolean
  error: string | null
}

export interface PhoneView {
  id: string
  /** like `••• ••• 21` */
  masked: string
  label: string | null
  primary: boolean
  verified: boolean
  /** until when it can't be the only proof for a sensitive change */
  heldUntil: Date | null
}

export interface AccountPageData {
  account: AccountPage & {
    phones: readonly PhoneView[]
    hasApp: boolean
    codesLeft: number
    /** whether there are so few that new ones should be made */
    fewCodes: boolean
    /** null where no browsers are remembered */
    remembered: number | null
    sessions: number
    apps: number
  }
  'account-phones': AccountPage & { phones: readonly PhoneView[]; canAdd: boolean }
  'account-phone': AccountPage & {
    phone: PhoneView
    /** whether it can go further up in the order */
    canMoveUp: boolean
    name: string
    error: string | null
  }
  'account-app': AccountPage & { since: Date | null; held: boolean }
  'account-backup-codes': AccountPage & {
    left: number
    few: boolean
    createdAt: Date | null
    /** there is nothing yet that they could stand in for */
    hasFactor: boolean
  }
  /** Are you sure? */
  'account-confirm': AccountPage &
    Sensitive & {
      title: string
      message: string
      /** the number it is about, masked */
      phone: string | null
      button: string
      backUrl: string
      /** what the form says it has seen, so that it isn't carried out twice */
      seen: string | null
    }
  'account-held': AccountPage & { until: Date; againUrl: string }
  'account-password': AccountPage & {
    error: string | null
    fault: 'current' | 'new' | null
    /** 0 to 4, of a password that was too weak */
    strength: number | null
  }
  'account-browsers': AccountPage & {
    days: number
    browsers: ReadonlyArray<{
      id: string
      browser: string
      createdAt: Date
      usedAt: Date
      expiresAt: Date
      current: boolean
    }>
  }
  'account-sessions': AccountPage & {
    sessions: ReadonlyArray<{
      uid: string
      browser: string | null
      address: string | null
      signedInAt: Date
      apps: readonly string[]
      current: boolean
    }>
  }
  'account-apps': AccountPage & {
    apps: ReadonlyArray<{
      id: string
      name: string
      since: Date
      gets: readonly string[]
    }>
  }
  'account-history': AccountPage & {
    events: ReadonlyArray<{
      at: Date
      what: string
      app: string | null
      /** whether somebody else did it: an admin, or the service by itself */
      byOthers: boolean
    }>
    /** whether there were more that aren't shown */
    more: boolean
  }
}
