import { createAccounts } from './accounts/accounts.ts'
import { contactOf } from './accounts/contact.ts'
import { createLinkMails } from './accounts/link-mails.ts'
import { createLinks } from './accounts/links.ts'
import { createPasswordQuality } from './accounts/password-quality.ts'
import { type Cost, createPasswords } from './accounts/passwords.ts'
import { createSignerKeys } from './accounts/signer-keys.ts'
import { createThrottle } from './accounts/throttle.ts'
import { createAfterRestore } from './after-restore.ts'
import { createAlerts } from './alerts/alerts.ts'
import { createWebhooks } from './alerts/webhooks.ts'
import { createAudit } from './audit/audit.ts'
import type { OnChange } from './audit/change.ts'
import { createChanges } from './changes.ts'
import type { Config } from './config/config.ts'
import type { CompleteSecrets } from './config/development-keys.ts'
import { createFingerprints } from './crypto/fingerprints.ts'
import { createVault } from './crypto/vault.ts'
import type { Clock } from './db/clock.ts'
import { openPepper } from './db/keyring.ts'
import type { Db } from './db/schema.ts'
import { createNotices } from './messaging/notices.ts'
import { createApis } from './oidc/apis.ts'
import { createClients } from './oidc/clients.ts'
import { createConsents } from './oidc/consents.ts'
import { createDevices } from './oidc/devices.ts'
import { createSigningKeys } from './oidc/keys.ts'
import { createRegistrationTokens } from './oidc/registration-tokens.ts'
import { createReplays } from './oidc/replays.ts'
import { createSessions } from './oidc/sessions.ts'
import { createSubjects } from './oidc/subjects.ts'
import { createOutbound } from './outbound/outbound.ts'
import { createReencryption } from './reencryption.ts'
import { createAuthenticators } from './second-factor/authenticators.ts'
import { createBackupCodes } from './second-factor/backup-codes.ts'
import { createBypassCodes } from './second-factor/bypass-codes.ts'
import { secondFactorState } from './second-factor/enrolled.ts'
import { createLocks } from './second-factor/locks.ts'
import { createPhoneChanges } from './second-factor/phone-changes.ts'
import { createPhones } from './second-factor/phones.ts'
import { createSendStates } from './second-factor/send-states.ts'
import { createStandIns } from './second-factor/stand-ins.ts'
import { createTrustedDevices } from './second-factor/trusted-devices.ts'
import { createMessageList } from './statistics/message-list.ts'
import { createStatistics } from './statistics/statistics.ts'
import { createAccountExport } from './transfer/account-export.ts'
import { createImports } from './transfer/imports.ts'
import { createPersonExport } from './transfer/person-export.ts'

export type Rooms = Awaited<ReturnType<typeof createRooms>>

export interface RoomOptions {
  /** told the column of each value that is sealed */
  onSeal?: (column: string) => void
  passwordCost?: Cost | undefined
}

/**
 * The rooms that the server and the command line share.
 * @throws Error with a sentence for the operator when ENCRYPTION_KEYS doesn't fit the database
 */
export async function createRooms(
  db: Db,
  clock: Clock,
  config: Config,
  secrets: CompleteSecrets,
  { onSeal, passwordCost }: RoomOptions = {},
) {
  const alerts = createAlerts({ db, clock, mailTo: config.alerts.mailTo })
  const outbound = createOutbound({ trustedHosts: config.alerts.trustedHosts })
  // What apps say of themselves leads to no host that the operator trusts admins with.
  const registrationOutbound = createOutbound({ trustedHosts: config.registrationHosts })
  const vault = createVault(secrets.encryptionKeys, alerts.decryptFailed, onSeal)
  const pepper = await openPepper(db, vault)
  const fingerprint = createFingerprints(pepper)
  const throttle = createThrottle({ db, clock })
  const links = createLinks({ db, clock })
  const signerKeys = createSignerKeys({ db, vault })
  const audit = createAudit({ db, clock, retentionDays: config.auditRetentionDays })
  const sessions = createSessions({ db, vault, clock })
  const phones = createPhones({ db, clock, vault, fingerprint, sharing: config.phoneSharing })
  const canMail = config.mail.by !== 'nothing'
  const notices = createNotices({ clock, vault, canMail })

  // Rooms tell of changes, and what follows from a change is done by rooms: each needs the other to be made.
  const onChange: OnChange = (on, change) => carryOut(on, change)
  const backupCodes = createBackupCodes({ db, clock, fingerprint, onChange })
  const bypassCodes = createBypassCodes({
    db,
    clock,
    fingerprint,
    onChange,
    ...config.bypassCodes,
  })
  const trustedDevices = createTrustedDevices({
    db,
    clock,
    onChange,
    days: config.trustedDeviceDays,
  })
  const carryOut = createChanges({
    clock,
    audit,
    phones,
    backupCodes,
    bypassCodes,
    trustedDevices,
    sessions,
    notices,
    contactOf,
  })

  const accounts = createAccounts({
    db,
    clock,
    passwords: createPasswords(passwordCost, signerKeys.find),
    quality: createPasswordQuality({ brand: config.brand.name }),
    throttle,
    fingerprint,
    links,
    onChange,
    secondFactorOf: secondFactorState(clock),
  })

  const authenticators = createAuthenticators({
    db,
    clock,
    vault,
    onChange,
    holdOffSeconds: config.holdOffSeconds,
    brand: config.brand.name,
  })
  const phoneChanges = createPhoneChanges({
    db,
    clock,
    phones,
    onChange,
    holdOffSeconds: config.holdOffSeconds,
  })
  const consents = createConsents({ db, vault, clock })

  const rules = {
    production: config.production,
    judgeUrl: outbound.judge,
    checkTarget: outbound.check,
  }
  const clients = createClients({ db, clock, vault, rules })

  return {
    afterRestore: createAfterRestore({ db, clock, audit }),
    alerts,
    outbound,
    registrationOutbound,
    webhooks: createWebhooks({ db, clock, vault, outbound }),
    vault,
    fingerprint,
    throttle,
    links,
    audit,
    sessions,
    phones,
    notices,
    onChange,
    backupCodes,
    bypassCodes,
    standIns: createStandIns({ db, clock, backupCodes, bypassCodes }),
    trustedDevices,
    accounts,
    linkMails: createLinkMails({
      db,
      clock,
      issuer: config.issuer,
      links,
      throttle,
      fingerprint,
      mailLink: canMail ? notices.queueLink : undefined,
    }),
    authenticators,
    phoneChanges,
    consents,
    sendStates: createSendStates({ db, clock, rules: config.sms.limits }),
    statistics: createStatistics({ db, clock, prices: config.prices }),
    messageList: createMessageList({ db, prices: config.prices }),
    locks: createLocks({ db, clock, ...accounts }),
    clients,
    registrationTokens: createRegistrationTokens({ db, clock }),
    registrationRules: {
      ...rules,
      judgeUrl: registrationOutbound.judge,
      checkTarget: registrationOutbound.check,
    },
    signingKeys: createSigningKeys({
      db,
      vault,
      clock,
      rotationDays: config.signingKeyRotationDays,
    }),
    reencryption: createReencryption({ db, clock, vault }),
    apis: createApis({ db, clock, issuer: config.issuer }),
    devices: createDevices({ db, clock }),
    replays: createReplays({ db, clock }),
    subjects: createSubjects(pepper),
    imports: createImports({
      db,
      clock,
      vault,
      fingerprint,
      signerKeys,
      phoneChanges,
      sharing: config.phoneSharing,
      allowedCountries: config.sms.allowedCountries,
      defaultCountry: config.defaultCountry,
    }),
    exportAccounts: createAccountExport({ db, phones, audit }),
    exportPerson: createPersonExport({
      db,
      accounts,
      phones,
      authenticators,
      backupCodes,
      bypassCodes,
      trustedDevices,
      sessions,
      consents,
      audit,
    }),
  }
}
