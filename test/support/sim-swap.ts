import { createServer } from 'node:http'
import { text as readText } from 'node:stream/consumers'
import { listen } from './fake-textbee.ts'

export interface SimSwapAnswer {
  status: number
  body: string
}

const saying = (swapped: boolean): SimSwapAnswer => ({
  status: 200,
  body: JSON.stringify({ swapped }),
})

/** A mobile operator's side of CAMARA SIM Swap. */
export async function startSimSwap() {
  const server = createServer(async (request, response) => {
    const { authorization } = request.headers
    const body = JSON.parse(await readText(request))
    fake.asked.push({ authorization, body })
    const { status, body: says } = fake.answer ?? saying(fake.swapped.has(body.phoneNumber))
    response.writeHead(status, { 'content-type': 'application/json' }).end(says)
  })
  const fake = {
    url: `http://127.0.0.1:${await listen(server)}/sim-swap/v2/check`,
    asked: [] as Array<{ authorization: string | undefined; body: unknown }>,
    /** numbers whose SIM was changed lately */
    swapped: new Set<string>(),
    /** what it says of every number, in place of that */
    answer: undefined as SimSwapAnswer | undefined,

    reset(): void {
      fake.asked.length = 0
      fake.swapped.clear()
      fake.answer = undefined
    },

    close: () => new Promise((resolve) => server.close(resolve)),
  }
  return fake
}
