"""Prints the identity that boto3 has under a profile, or with what the environment
says. Given a number of seconds, it does so four times, as far apart.

    identity.py PROFILE|"" [SECONDS]
"""
import os
import sys
import time

import boto3

# Old versions of boto3 do not read the variable.
client = boto3.Session(profile_name=sys.argv[1] or None).client("sts", endpoint_url=os.environ["AWS_ENDPOINT_URL_STS"])
for i in range(4 if sys.argv[2:] else 1):
    if i:
        time.sleep(int(sys.argv[2]))
    print(client.get_caller_identity()["Arn"])
