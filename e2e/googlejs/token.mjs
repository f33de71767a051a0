// Prints the access token of Google Cloud that Google's library for Node.js gets with GOOGLE_APPLICATION_CREDENTIALS.
//
//   node token.mjs
import { GoogleAuth } from 'google-auth-library';

const auth = new GoogleAuth({ scopes: 'https://www.googleapis.com/auth/cloud-platform' });
console.log(await auth.getAccessToken());
