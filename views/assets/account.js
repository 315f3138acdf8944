// Times are written in UTC; whoever has scripts reads them in their own zone.
for (const time of document.querySelectorAll('time[datetime]')) {
  const format = new Intl.DateTimeFormat(`${document.documentElement.lang}-u-nu-latn`, {
    dateStyle: 'medium',
    timeStyle: 'short',
  })
  time.textContent = format.format(new Date(time.dateTime))
}
