import { startProtectedApi } from './protected-api.ts'

const { ISSUER, CLIENT_ID, CLIENT_SECRET, PORT = '3002' } = process.env
if (!ISSUER || !CLIENT_ID || !CLIENT_SECRET) {
  console.error('Set ISSUER, CLIENT_ID and CLIENT_SECRET (and PORT, if 3002 is taken).')
  process.exit(1)
}
const api = await startProtectedApi({
  issuer: ISSUER,
  clientId: CLIENT_ID,
  clientSecret: CLIENT_SECRET,
  port: Number(PORT),
})
console.log(`The API is at ${api.url}`)
