// Times are written in UTC; whoever has scripts reads them in their own zone.
for (const time of document.querySelectorAll('time[datetime]')) {
  const format = new Intl.DateTimeFormat('en-u-nu-latn', {
    dateStyle: 'medium',
    timeStyle: 'short',
  })
  time.textContent = format.format(new Date(time.dateTime))
}

// On a phone the ways stand in a strip: the one that is open is to be seen.
document
  .querySelector('.console-ways [aria-current]')
  ?.scrollIntoView({ block: 'nearest', inline: 'center' })

// A button beside whatever is there to be copied.
for (const value of document.querySelectorAll('[data-copy]')) {
  const button = document.createElement('button')
  button.type = 'button'
  button.className = 'copy-button'
  button.textContent = 'Copy'
  button.addEventListener('click', async () => {
    await navigator.clipboard.writeText(value.textContent)
    button.textContent = 'Copied'
    setTimeout(() => {
      button.textContent = 'Copy'
    }, 2000)
  })
  value.after(button)
}
