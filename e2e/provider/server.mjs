// A certified OpenID provider (npm oidc-provider) on loopback, with both flows and rotating refresh tokens.
//
//   node server.mjs '{"log":"/private/folder/requests"}'
//
// It prints its issuer on one line, appends each request to the log as one JSON line, and ends when its standard
// input closes, so that it cannot outlive the test that started it.
import { createHash, generateKeyPairSync, randomUUID } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';

const options = {
  log: '', // the file that the requests are appended to; it holds secrets, as the tests look for leaked ones
  idTokenLife: 3600, // seconds
  padding: 0, // bytes that the ID token carries besides its claims
  noDeviceCodes: false,
  slash: false, // the issuer ends in "/"
  ...JSON.parse(process.argv[2] ?? '{}'),
};
const interval = 1; // seconds between two polls
const deviceCodeGrant = 'urn:ietf:params:oauth:grant-type:device_code';

const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const signingKey = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig', alg: 'RS256' };

const server = createServer();
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const issuer = `http://127.0.0.1:${server.address().port}${options.slash ? '/' : ''}`;

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'daypass-e2e',
    client_name: 'daypass',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    grant_types: [...(options.noDeviceCodes ? [] : [deviceCodeGrant]), 'authorization_code', 'refresh_token'],
    response_types: ['code'],
    redirect_uris: ['http://127.0.0.1/callback', 'http://localhost/callback'],
  }],
  jwks: { keys: [signingKey] },
  cookies: { keys: [randomUUID()] },
  features: {
    deviceFlow: { enabled: !options.noDeviceCodes },
    devInteractions: { enabled: true },
    revocation: { enabled: true },
  },
  claims: { openid: ['sub'], email: ['email', 'email_verified', 'padding'] },
  conformIdTokenClaims: false, // the e-mail goes into the ID token, as it does at Auth0
  rotateRefreshToken: true,
  // As by default: for a login that asked for offline_access, and got it. The device grant has no prompt=consent.
  issueRefreshToken: async (ctx, client, code) => code.scopes.has('offline_access') || code.kind === 'DeviceCode',
  ttl: {
    AccessToken: 600,
    DeviceCode: 300,
    Grant: 86400,
    IdToken: options.idTokenLife,
    Interaction: 600,
    RefreshToken: 86400,
    Session: 86400,
  },
  findAccount: async (_, login) => ({
    accountId: login,
    claims: async () => ({
      sub: login,
      email: `${login}@example.com`,
      email_verified: true,
      padding: 'p'.repeat(options.padding) || undefined,
    }),
  }),
});

// The provider itself never says slow_down: RFC 8628 section 3.5 asks a client to wait 5 more seconds, for good.
const polls = new Map(); // device code -> { at, interval }: the last poll, and the seconds to wait before the next

function tooFast(deviceCode) {
  const now = Date.now();
  const last = polls.get(deviceCode) ?? { at: 0, interval };
  const early = now - last.at < last.interval * 1000 - 100; // 100 ms: the two clocks tick apart
  polls.set(deviceCode, { at: now, interval: last.interval + (early ? 5 : 0) });
  return early;
}

const secretNames = ['device_code', 'id_token', 'refresh_token', 'access_token'];

provider.use(async (ctx, next) => {
  await next();
  const sent = ctx.oidc?.body ?? {};
  if (ctx.path === '/device/auth' && ctx.status === 200) {
    ctx.body = { ...ctx.body, interval };
  }
  if (ctx.body?.error === 'authorization_pending' && tooFast(sent.device_code)) {
    ctx.body = { error: 'slow_down' };
  }
  const answer = typeof ctx.body === 'object' && ctx.body !== null ? ctx.body : {};
  appendFileSync(options.log, `${JSON.stringify({
    path: ctx.path,
    sentRefreshToken: sent.refresh_token && digest(sent.refresh_token),
    gotRefreshToken: answer.refresh_token && digest(answer.refresh_token),
    status: ctx.status,
    error: answer.error,
    issued: secretNames.map((name) => answer[name]).filter(Boolean),
  })}\n`);
});

function digest(token) {
  return createHash('sha256').update(token).digest('hex');
}

server.on('request', provider.callback());
console.log(issuer);
process.stdin.resume().on('end', () => process.exit(0));
