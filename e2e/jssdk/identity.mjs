// Prints the identity that the AWS SDK for JavaScript has under a profile whose credential_process is daypass.
//
//   node identity.mjs PROFILE
import { GetCallerIdentityCommand, STSClient } from '@aws-sdk/client-sts';
import { fromNodeProviderChain } from '@aws-sdk/credential-providers';

const profile = process.argv[2];
const client = new STSClient({ profile, credentials: fromNodeProviderChain({ profile }) });
const { Arn } = await client.send(new GetCallerIdentityCommand({}));
console.log(Arn);
