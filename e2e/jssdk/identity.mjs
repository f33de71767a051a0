// Prints the identity that the AWS SDK for JavaScript has under a profile whose credential_process is daypass, or with
// what the environment says. Given a number of seconds, it does so four times, as far apart.
//
//   node identity.mjs PROFILE|"" [SECONDS]
import { setTimeout } from 'node:timers/promises';
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';

const [name, seconds] = process.argv.slice(2);
const profile = name || undefined;
const client = new STSClient({ profile, credentials: fromNodeProviderChain({ profile }) });
for (let i = 0; i < (seconds ? 4 : 1); i++) {
  if (i > 0) await setTimeout(seconds * 1000);
  const { Arn } = await client.send(new GetCallerIdentityCommand({}));
  console.log(Arn);
}
