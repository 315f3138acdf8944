import { startRelyingParty } from './relying-party.ts'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, API_URL, PORT = '3001' } = process.env
if (!ISSUER || !CLIENT_ID || !CLIENT_SECRET) {
  console.error('Set ISSUER, CLIENT_ID and CLIENT_SECRET (and PORT, if 3001 is taken).')
  process.exit(1)
}
const app = await startRelyingParty({
  issuer: ISSUER,
  clientId: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  port: Number(PORT),
  apiUrl: API_URL,
})
console.log(`The app is at ${app.url}`)
