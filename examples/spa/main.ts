import { startSpa } from './spa.ts'

const { ISSUER, CLIENT_ID, PORT = '3003' } = process.env
if (!ISSUER || !CLIENT_ID) {
  console.error('Set ISSUER and CLIENT_ID (and PORT, if 3003 is taken).')
  process.exit(1)
}
const { url } = await startSpa({ issuer: ISSUER, clientId: CLIENT_ID, port: Number(PORT) })
console.log(`The page is at ${url}`)
