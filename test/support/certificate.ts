import { generateKeyPairSync, sign } from 'node:crypto'

const SEQUENCE = 0x30
const SET = 0x31

/** One value in DER (X.690). */
function der(tag: number, ...contents: Buffer[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  const head = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.from(head), content])
}

const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const integer = (value: number) => der(0x02, Buffer.from([value]))
const time = (offsetDays: number) => {
  const at = new Date(Date.now() + offsetDays * 86_400_000)
  const digits = at.toISOString().replace(/[-:T]|\.\d+/g, '')
  return der(0x17, Buffer.from(digits.slice(2)))
}

/**
 * A certificate of a server at an address, signed by itself (RFC 5280): who is to trust it, must be told to.
 * @param address IPv4
 */
export function makeCertificate(address: string): { key: string; cert: string } {
  const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ecdsaWithSha256 = der(SEQUENCE, oid('2a8648ce3d040302'))
  const commonName = der(SEQUENCE, oid('550403'), der(0x0c, Buffer.from(address)))
  const name = der(SEQUENCE, der(SET, commonName))
  const ip = der(0x87, Buffer.from(address.split('.').map(Number)))
  const alternativeNames = der(SEQUENCE, oid('551d11'), der(0x04, der(SEQUENCE, ip)))
  const told = der(
    SEQUENCE,
    der(0xa0, integer(2)),
    integer(1),
    ecdsaWithSha256,
    name,
    der(SEQUENCE, time(-1), time(1)),
    name,
    pair.publicKey.export({ type: 'spki', format: 'der' }),
    der(0xa3, der(SEQUENCE, alternativeNames)),
  )
  const signature = sign('sha256', told, pair.privateKey)
  const whole = der(SEQUENCE, told, ecdsaWithSha256, der(0x03, Buffer.from([0]), signature))
  const lines = whole.toString('base64').replace(/.{64}(?=.)/g, '$&\n')
  return {
    key: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    cert: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
  }
}
