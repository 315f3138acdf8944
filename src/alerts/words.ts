import { minuteText } from '../minute.ts'
import { type Condition, LOCK_STORM_SECONDS } from './kinds.ts'

/** `critical`: people can't sign in, or soon won't be able to. */
export type Severity = 'critical' | 'warning' | 'info'

export interface Words {
  severity: Severity
  /** what is wrong, in one line */
  title: string
  /** a command or page that helps, in a few sentences */
  whatToDo: string
}

const countries = new Intl.DisplayNames('en', { type: 'region' })

/** What an alert says to those who run the service. Commands are those of the command line, pages those under the issuer. */
export function describe(condition: Condition): Words {
  switch (condition.kind) {
    case 'budget':
      return budget(condition)
    case 'country-paused':
      return {
        severity: 'warning',
        title: `Texts to strangers in ${countryOf(condition.subject)} are paused`,
        whatToDo: `Too many of their codes were never typed. Look at the country under /admin/limits or with "limits list". Many new accounts, or one address: stop those. Few right codes at all: texts don't arrive, so look at "gateway list". If it is neither, "limits lift ${condition.subject}" ends the pause. Left alone, it lasts until ${minuteText(new Date(condition.detail.until))}.`,
      }
    case 'decrypt-failures':
      return {
        severity: 'critical',
        title: `Values of ${condition.subject} can't be opened`,
        whatToDo:
          'Is a key missing from ENCRYPTION_KEYS, at one instance perhaps? "doctor" tells; put the old key back after the new one. If all keys are there, rows were changed by something other than Sallyport: look for "since it was sealed" in the log, find out who wrote to the database, and restore the rows from a backup.',
      }
    case 'gateway-down':
      return gatewayDown(condition)
    case 'lock-storm':
      return {
        severity: 'warning',
        title: `${condition.detail.locks} locks within ${LOCK_STORM_SECONDS / 60} minutes`,
        whatToDo:
          'Somebody may be guessing passwords or codes at large. Look at password.wrong, password.locked and codes.locked under /admin/audit or with "audit export": where many have the same address, stop it in front of Sallyport. The locks hold meanwhile and end by themselves; "account unlock NAME" ends one.',
      }
    case 'number-block':
      return {
        severity: 'warning',
        title: `A block of numbers in ${countryOf(condition.subject)} is at its limit`,
        whatToDo: `Numbers that differ in their last four digits only were sent many texts, which looks like pumping. No more are sent there for now. Look at the country under /admin/limits or with "limits list". If they are people of one company who begin together, raise SMS_LIMIT_PREFIX_UNANSWERED or SMS_LIMIT_PREFIX_HOUR for that day.`,
      }
  }
}

function budget({ subject, detail }: Extract<Condition, { kind: 'budget' }>): Words {
  const variable = subject === 'hour' ? 'SMS_LIMIT_GLOBAL_HOUR' : 'SMS_LIMIT_GLOBAL_DAY'
  const full = detail.percent >= 100
  return {
    severity: full ? 'critical' : 'warning',
    title: full
      ? `All texts of the ${subject} are used: nobody is sent a code`
      : `${detail.percent} % of the texts of the ${subject} are used`,
    whatToDo: `${detail.sends} of ${detail.limit} were sent. See under /admin/limits or with "limits list" which countries they went to. If people ask for them, raise ${variable}; if not, find who does, before there are none left.`,
  }
}

function gatewayDown({ subject, detail }: Extract<Condition, { kind: 'gateway-down' }>): Words {
  const remedies: Partial<Record<string, string>> = {
    config: 'It refuses our key or settings: compare them with its portal.',
    quota: 'Its credit or quota is used up: top it up.',
  }
  const remedy = remedies[detail.failure] ?? 'Look at its status page, and whether we can reach it.'
  return {
    severity: 'critical',
    title: `Gateway ${subject} is down: ${detail.failure}`,
    whatToDo: `${remedy} "gateway list" shows its last error, "gateway test ${subject} +NUMBER" tries it. Messages go by the next gateway meanwhile, where there is one. It is used again by itself once a message goes well.`,
  }
}

function countryOf(code: string): string {
  const name = countries.of(code)
  return name === undefined || name === code ? code : `${name} (${code})`
}

/** What an alert is called whose kind another version of Sallyport knows. */
export function unknownWords(name: string): Words {
  return {
    severity: 'warning',
    title: name,
    whatToDo: 'Another version of Sallyport raised this: look there.',
  }
}
