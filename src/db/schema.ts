import type { Kysely } from 'kysely'
import type { AccountTable, OneTimeLinkTable, SignInAttemptTable } from './tables/accounts.ts'
import type {
  BootstrapLinkTable,
  ConsoleSessionTable,
  IdempotencyKeyTable,
} from './tables/admin.ts'
import type { AlertDeliveryTable, AlertTable, WebhookTable } from './tables/alerts.ts'
import type { AuditEventTable } from './tables/audit.ts'
import type {
  GatewayReportTable,
  GatewayStateTable,
  MessageTable,
  NoticeTable,
} from './tables/messaging.ts'
import type {
  ApiTable,
  ClientTable,
  DevicePollTable,
  LogoutDeliveryTable,
  OidcRecordTable,
  OidcReplayTable,
  RegistrationTokenTable,
  SigningKeyTable,
  UserCodeTryTable,
} from './tables/oidc.ts'
import type {
  AuthenticatorTable,
  BackupCodeTable,
  BypassCodeTable,
  ChallengeTable,
  PhoneTable,
  SecondFactorTable,
  SendLimitTable,
  TrustedDeviceTable,
} from './tables/second-factor.ts'
import type { DeliveryStatTable, EventStatTable, RollUpTable } from './tables/statistics.ts'
import type { SendAlertTable, SendDayTable, SendTrafficTable } from './tables/traffic.ts'
import type { ImportChunkTable, ImportFailureTable, ImportJobTable } from './tables/transfer.ts'

export type Db = Kysely<Database>

/** One interface per table; the room named beside it is the only one that writes it. */
export interface Database {
  /** db */
  keyring: { name: string; value: Buffer }
  /** audit */
  audit_event: AuditEventTable
  /** accounts */
  account: AccountTable
  /** accounts */
  sign_in_attempt: SignInAttemptTable
  /** accounts */
  one_time_link: OneTimeLinkTable
  /** second-factor */
  second_factor: SecondFactorTable
  /** second-factor */
  phone: PhoneTable
  /** second-factor */
  authenticator: AuthenticatorTable
  /** second-factor */
  backup_code: BackupCodeTable
  /** second-factor */
  bypass_code: BypassCodeTable
  /** second-factor */
  trusted_device: TrustedDeviceTable
  /** second-factor */
  challenge: ChallengeTable
  /** second-factor */
  send_limit: SendLimitTable
  /** second-factor */
  send_traffic: SendTrafficTable
  /** second-factor */
  send_day: SendDayTable
  /** second-factor */
  send_alert: SendAlertTable
  /** messaging */
  message: MessageTable
  gateway_state: GatewayStateTable
  gateway_report: GatewayReportTable
  /** messaging */
  notice: NoticeTable
  /** admin */
  console_session: ConsoleSessionTable
  /** admin */
  bootstrap_link: BootstrapLinkTable
  /** admin */
  idempotency_key: IdempotencyKeyTable
  /** statistics */
  delivery_stat: DeliveryStatTable
  /** statistics */
  event_stat: EventStatTable
  /** statistics */
  roll_up: RollUpTable
  /** alerts */
  alert: AlertTable
  /** alerts */
  webhook: WebhookTable
  /** alerts */
  alert_delivery: AlertDeliveryTable
  /** oidc */
  api: ApiTable
  /** oidc */
  client: ClientTable
  /** oidc */
  oidc_record: OidcRecordTable
  /** oidc */
  oidc_replay: OidcReplayTable
  /** oidc */
  registration_token: RegistrationTokenTable
  /** oidc */
  device_poll: DevicePollTable
  /** oidc */
  user_code_try: UserCodeTryTable
  /** oidc */
  signing_key: SigningKeyTable
  /** oidc */
  logout_delivery: LogoutDeliveryTable
  /** transfer */
  import_job: ImportJobTable
  import_failure: ImportFailureTable
  import_chunk: ImportChunkTable
}
