// The pages work without this; it only makes them quicker to use.

// For browsers that know `autofocus` on fields only. A frame later, so as not to get in its way.
requestAnimationFrame(() => document.querySelector('[data-focus]')?.focus())

readCodeFromText()
countDownToResend()
followDelivery()
submitOnce()
refreshMessages()
keepBackupCodes()

/** WebOTP: on phones that offer it, the code of the arriving text is filled in and sent. */
function readCodeFromText() {
  const field = document.querySelector('input[data-otp]')
  if (!field || !('OTPCredential' in window)) return
  const waiting = new AbortController()
  field.form.addEventListener('submit', () => waiting.abort())
  navigator.credentials
    .get({ otp: { transport: ['sms'] }, signal: waiting.signal })
    .then((text) => {
      if (!text?.code || waiting.signal.aborted) return
      field.value = text.code
      field.form.requestSubmit()
    })
    .catch(() => {}) // given up, refused or timed out: the person types the code
}

/** "Send again" waits as long as the server would make it wait. */
function countDownToResend() {
  const button = document.querySelector('button[data-seconds]')
  const call = document.querySelector('button[data-with-resend]')
  const seconds = Number(button?.dataset.seconds)
  if (!button || !(seconds > 0)) return
  const hint = document.getElementById('resend-hint')
  const label = button.textContent
  const readyAt = Date.now() + seconds * 1000

  const tick = () => {
    const left = Math.ceil((readyAt - Date.now()) / 1000)
    button.disabled = left > 0
    if (call) call.disabled = left > 0
    if (left > 0) {
      const time = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, '0')}`
      button.textContent = button.dataset.counting.replace('0:00', time)
      return
    }
    clearInterval(timer)
    button.textContent = label
    if (hint) hint.textContent = hint.dataset.now
  }
  const timer = setInterval(tick, 500)
  // The seconds it names stand still; those on the button don't.
  if (hint) hint.textContent = hint.dataset.waiting
  tick()
}

/** What became of the message: fetches the page again and shows its newer word, until there is nothing to come. */
function followDelivery() {
  const region = document.getElementById('delivery')
  if (!region?.hasAttribute('data-live')) return
  let looks = 0
  const look = async () => {
    if (document.hidden) return again()
    const answer = await fetch(location.href).catch(() => null)
    const page = answer && new DOMParser().parseFromString(await answer.text(), 'text/html')
    const fresh = page?.getElementById('delivery')
    // Another tab went on, or it is over.
    if (page && !fresh) return
    if (fresh && fresh.innerHTML !== region.innerHTML) {
      region.dataset.state = fresh.dataset.state
      const live = fresh.hasAttribute('data-live')
      region.replaceChildren(...fresh.childNodes)
      if (!live) replaceResend(page.querySelector('.resend'))
    }
    if (!fresh || fresh.hasAttribute('data-live')) again()
  }
  // Most texts arrive within seconds; nobody waits at the page for longer than some minutes.
  const again = () => {
    looks += 1
    if (looks < 60) setTimeout(look, looks < 15 ? 2000 : 5000)
  }
  again()
}

/** Once it is clear that nothing arrives, there is nothing to wait for either. */
function replaceResend(fresh) {
  const resend = document.querySelector('.resend')
  if (!fresh) resend?.remove()
  else if (!(Number(fresh.querySelector('[data-seconds]')?.dataset.seconds) > 0))
    resend?.replaceWith(fresh)
}

/** A second click must not send a form twice; coming back to the page makes it usable again. */
function submitOnce() {
  const sent = new Set()
  const release = () => {
    for (const form of sent) mark(form, false)
    sent.clear()
  }
  const mark = (form, busy) => {
    for (const control of form.elements) {
      if (control.type === 'submit') control.disabled = busy
    }
    form.toggleAttribute('data-sent', busy)
  }

  document.addEventListener('submit', (event) => {
    const form = event.target
    if (sent.has(form)) return event.preventDefault()
    sent.add(form)
    // Later, because a button disabled now would not send its own name and value.
    setTimeout(() => mark(form, true))
    // A request that was stopped leaves the person here.
    setTimeout(release, 10_000)
  })
  window.addEventListener('pageshow', (event) => event.persisted && release())
}

/** The simulated phone of development: fetches its page again and swaps the messages if they differ. */
function refreshMessages() {
  const list = document.querySelector('[data-refresh]')
  if (!list) return
  setInterval(async () => {
    const answer = await fetch(location.href).catch(() => null)
    if (!answer?.ok) return
    const page = new DOMParser().parseFromString(await answer.text(), 'text/html')
    const fresh = page.getElementById(list.id)
    if (fresh && fresh.innerHTML !== list.innerHTML) list.replaceChildren(...fresh.childNodes)
  }, Number(list.dataset.refresh) * 1000)
}

/** Copying, printing and saving of backup codes, where they are shown. */
function keepBackupCodes() {
  const list = document.querySelector('[data-codes]')
  const tools = document.querySelector('[data-tools]')
  if (!list || !tools) return
  const codes = [...list.querySelectorAll('code')].map((code) => code.textContent)
  const text = `${[list.dataset.heading, '', ...codes].join('\r\n')}\r\n`
  const copy = tools.querySelector('[data-copy]')
  const save = tools.querySelector('[data-download]')
  copy.addEventListener('click', async () => {
    await navigator.clipboard.writeText(text)
    copy.textContent = copy.dataset.done
  })
  tools.querySelector('[data-print]').addEventListener('click', () => print())
  save.addEventListener('click', () => {
    const link = document.createElement('a')
    link.href = URL.createObjectURL(new Blob([text], { type: 'text/plain' }))
    link.download = save.dataset.download
    link.click()
    URL.revokeObjectURL(link.href)
  })
  copy.hidden = !navigator.clipboard
  tools.hidden = false
}
