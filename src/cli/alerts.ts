import type { Command } from 'commander'
import type { ListedAlert } from '../alerts/alerts.ts'
import { perform, record } from './output.ts'
import { inSession } from './session.ts'

export function addAlertCommands(program: Command): void {
  const noun = program.command('alerts').description('what somebody should look at')

  const list = noun
    .command('list')
    .description('show what is so now, and what was within 30 days, with what to do')
  perform(list, 'alerts list', async () => {
    const alerts = await inSession((session) => session.alerts.list())
    const text = alerts.map(asText).join('\n\n')
    return { json: alerts, text: text || 'No alerts.' }
  })
}

function asText({ name, severity, title, whatToDo, ...times }: ListedAlert): string {
  const { raisedAt, seenAt, endedAt } = times
  const since = raisedAt.toISOString()
  if (endedAt !== null)
    return `${title} (over)\n${record([['  when', `${since} to ${endedAt.toISOString()}`]])}`
  return `${title}\n${record([
    ['  name', name],
    ['  severity', severity],
    ['  since', `${since}, last seen ${seenAt.toISOString()}`],
    ['  do', whatToDo],
  ])}`
}
