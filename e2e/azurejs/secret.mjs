// Prints a secret of Key Vault, as a program does that daypass exec --azure has
// started:
//
//   node secret.mjs workload|default VAULT-URL NAME
import { DefaultAzureCredential, WorkloadIdentityCredential } from '@azure/identity';
import { SecretClient } from '@azure/keyvault-secrets';

const [kind, vault, name] = process.argv.slice(2);
const credential = kind === 'workload' ? new WorkloadIdentityCredential() : new DefaultAzureCredential();
const { value } = await new SecretClient(vault, credential).getSecret(name);
console.log(value);
