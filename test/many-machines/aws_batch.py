"""What AWS makes of docs/many-machines/aws-batch: its files are sent with boto3, whose model of the API refuses what is not in it,
and quarter.sh runs with the real `aws`, against moto's Batch on this machine. Prints the jobs that came of it, and refusals."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

# No account of a person is asked by accident, and none is needed.
os.environ.update(AWS_ACCESS_KEY_ID="test", AWS_SECRET_ACCESS_KEY="test", AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true")
os.environ.update(AWS_CONFIG_FILE=os.devnull, AWS_SHARED_CREDENTIALS_FILE=os.devnull)

import boto3
from botocore.exceptions import ParamValidationError
from moto.core.config import default_user_config
from moto.server import ThreadedMotoServer

folder = Path(sys.argv[1])
default_user_config["batch"] = {"use_docker": False}  # a job ends by itself, with success


def read(name):
    return json.loads((folder / name).read_text())


server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
os.environ["AWS_ENDPOINT_URL"] = f"http://{host}:{port}"
batch, ec2, iam = boto3.client("batch"), boto3.client("ec2"), boto3.client("iam")

# What the files name and an account has: a role, a profile, a network.
iam.create_role(RoleName="AWSServiceRoleForBatch", Path="/aws-service-role/batch.amazonaws.com/", AssumeRolePolicyDocument="{}")
iam.create_instance_profile(InstanceProfileName="ecsInstanceRole")
subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
group = ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]

for kind in ("cpu", "cuda"):
    environment = read(f"compute-environment-{kind}.json")
    resources = environment["computeResources"]
    resources["subnets"] = [re.sub("^subnet-0+$", subnet, one) for one in resources["subnets"]]
    resources["securityGroupIds"] = [re.sub("^sg-0+$", group, one) for one in resources["securityGroupIds"]]
    batch.create_compute_environment(**environment)
    batch.create_job_queue(**read(f"job-queue-{kind}.json"))
    batch.register_job_definition(**read(f"job-definition-{kind}.json"))

# The model is strict: a name that is not in the API is refused.
wrong = read("job-definition-cpu.json")
wrong["containerProperties"]["readOnlyRootFilesystem"] = True
try:
    batch.register_job_definition(**wrong)
    refused = None
except ParamValidationError as error:
    refused = str(error)

said = subprocess.run(["sh", folder / "quarter.sh", "2016Q4"], check=True, capture_output=True, text=True).stdout
submitted = [line.split(": job ") for line in said.splitlines()]
step_of = {job: step for step, job in submitted}


def told(job):
    described = batch.describe_jobs(jobs=[job])["jobs"][0]
    array = described.get("arrayProperties", {})
    return {
        "step": step_of[job],
        "queue": described["jobQueue"].rsplit("/", 1)[-1],
        "definition": described["jobDefinition"].rsplit("/", 1)[-1].split(":")[0],
        "parameters": described["parameters"],
        "children": len(batch.list_jobs(arrayJobId=job, jobStatus="SUCCEEDED")["jobSummaryList"]) if "size" in array else None,
        "after": [step_of[one["jobId"]] for one in described.get("dependsOn", [])],
        "status": described["status"],
    }


# Until the last has ended: each waits for the one before.
last = submitted[-1][1]
while batch.describe_jobs(jobs=[last])["jobs"][0]["status"] not in ("SUCCEEDED", "FAILED"):
    time.sleep(0.2)
print(json.dumps({"jobs": [told(job) for _, job in submitted], "refused": refused}))
server.stop()
