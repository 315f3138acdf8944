/**
 * Read by a process before anything else (`--import`): gives its machine a clock that is wrong by CLOCK_OFF_SECONDS,
 * and at SIGUSR2 sets it to be wrong by CLOCK_JUMPS_TO_SECONDS.
 */
const secondsOf = (name: string) => Number(process.env[name] ?? 0)

const right = Date.now
let off = secondsOf('CLOCK_OFF_SECONDS')
process.on('SIGUSR2', () => {
  off = secondsOf('CLOCK_JUMPS_TO_SECONDS')
  process.stdout.write('the clock was set\n')
})

const now = () => right() + off * 1000
Date.now = now
globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length > 0 ? args : [now()], newTarget),
})
