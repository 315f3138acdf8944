import type Router from '@koa/router'
import type Provider from 'oidc-provider'
import type { AppOptions } from './app-options.ts'
import type { Codes } from './codes.ts'
import type { UnitsOfWork } from './oidc/unit-of-work.ts'
import type { Rooms } from './rooms.ts'
import { createAccountSection } from './web/account/section.ts'
import type { BrowserCookie } from './web/browser-cookie.ts'
import { createChallengeSteps } from './web/challenge.ts'
import { createConsent } from './web/consent.ts'
import { createEnrolment } from './web/enrolment.ts'
import type { Forgotten } from './web/forgotten.ts'
import { createInteraction } from './web/interaction.ts'
import { createKnownBrowsers } from './web/known-browser.ts'
import { addLinks } from './web/links.ts'
import { createLogin } from './web/login.ts'
import type { PageForms } from './web/page-forms.ts'
import type { Pages } from './web/pages.ts'
import { createSecondDoor } from './web/second-door.ts'
import { createSignIn } from './web/sign-in.ts'
import { createSteps } from './web/steps.ts'
import type { TrustedBrowserCookie } from './web/trusted-browser.ts'
import { createVisitors } from './web/visitor.ts'

interface Dependencies extends Pick<AppOptions, 'config' | 'secrets' | 'metrics'> {
  rooms: Rooms
  provider: Provider
  units: UnitsOfWork
  pages: Pages
  codes: Codes
  forms: PageForms
  forgotten: Forgotten
  trustedCookie: TrustedBrowserCookie
  browsers: BrowserCookie
}

/** The hosted pages, put together: those of a sign-in by their steps, and the sections beside it. */
export function createHosted(deps: Dependencies) {
  const { config, secrets, metrics, rooms, provider, units, pages } = deps
  const { codes, forms, forgotten, trustedCookie, browsers } = deps
  const { hostname } = new URL(config.issuer)
  const knownBrowsers = createKnownBrowsers({
    fingerprint: rooms.fingerprint,
    browsers,
    secure: config.issuer.startsWith('https:'),
  })
  const visitors = createVisitors({ provider, cookieKeys: secrets.cookieKeys, browsers })
  const signIn = createSignIn({ provider, units })
  const steps = createSteps({
    pages,
    visitors,
    codeLength: config.otp.length,
    host: hostname,
    rememberDays: config.trustedDeviceDays,
    forgottenUrl: forgotten.url,
    metrics,
  })
  const door = {
    ...rooms,
    ...codes,
    metrics,
    signIn,
    visitors,
    steps,
    pages,
    trustedCookie,
    knownBrowsers,
  }
  const consent = createConsent({ ...door, provider })
  const enrolment = createEnrolment({
    ...door,
    allowedCountries: config.sms.allowedCountries,
    defaultCountry: config.defaultCountry,
    brandName: config.brand.name,
  })
  const interaction = createInteraction({ ...door, consent, enrolment })
  const secondDoor = createSecondDoor({
    ...door,
    secondFactor: config.secondFactor,
    selfEnrolment: config.selfEnrolment,
  })
  const code = createChallengeSteps({ ...door, enrolment, codeLength: config.otp.length })
  const sections: Array<(router: Router) => void> = [
    forgotten.addTo,
    (router) => addLinks(router, { ...rooms, pages, forms }),
    createAccountSection({
      ...door,
      ...config,
      provider,
      units,
      forms,
      browsers,
      codeLength: config.otp.length,
      allowedCountries: config.sms.allowedCountries,
      brandName: config.brand.name,
    }),
  ]

  return {
    visitors,
    show: interaction.show,
    steps: {
      login: createLogin({ ...door, secondDoor }),
      'step-up': secondDoor.stepUp,
      code: code.verify,
      resend: code.resend,
      call: code.call,
      phone: code.otherPhone,
      app: code.app,
      'backup-code': code.verifyBackupCode,
      'enrol-phone': enrolment.phone,
      'enrol-app': enrolment.app,
      'enrol-other': enrolment.other,
      'enrol-codes': enrolment.codes,
      'enrol-finish': enrolment.finish,
      consent: consent.allow,
      cancel: interaction.cancel,
      'give-up': interaction.giveUp,
      restart: interaction.restart,
    },
    sections,
  }
}
