package console

import (
	"slices"
	"strings"
)

// service is a page of the console that people ask for by name.
type service struct {
	names string // separated by spaces; the first is the one that is listed
	path  string
	// global: the page is the same in every region.
	global   bool
	fragment string // begins with "#", or ""
}

// services are the pages that people open, under the names of the AWS CLI's
// commands and the usual short ones. The paths are those that AWS's own
// documentation and console link to.
func services() []service {
	return []service{
		{names: "acm certificates", path: "/acm/home"},
		{names: "amplify", path: "/amplify/home"},
		{names: "apigateway apigw", path: "/apigateway/main/apis"},
		{names: "appsync", path: "/appsync/home"},
		{names: "athena", path: "/athena/home"},
		{names: "backup", path: "/backup/home"},
		{names: "batch", path: "/batch/home"},
		{names: "bedrock", path: "/bedrock/home"},
		{names: "billing", path: "/billing/home", global: true},
		{names: "cloudformation cfn", path: "/cloudformation/home"},
		{names: "cloudfront", path: "/cloudfront/v4/home", global: true},
		{names: "cloudtrail", path: "/cloudtrailv2/home"},
		{names: "cloudwatch cw", path: "/cloudwatch/home"},
		{names: "codebuild", path: "/codesuite/codebuild/projects"},
		{names: "codepipeline", path: "/codesuite/codepipeline/pipelines"},
		{names: "cognito", path: "/cognito/v2/home"},
		{names: "config", path: "/config/home"},
		{names: "cost ce costexplorer", path: "/costmanagement/home", global: true},
		{names: "dynamodb ddb", path: "/dynamodbv2/home"},
		{names: "ec2", path: "/ec2/home"},
		{names: "ecr", path: "/ecr/home"},
		{names: "ecs", path: "/ecs/v2/home"},
		{names: "efs", path: "/efs/home"},
		{names: "eks", path: "/eks/home"},
		{names: "elasticache", path: "/elasticache/home"},
		{names: "elasticbeanstalk beanstalk", path: "/elasticbeanstalk/home"},
		{names: "elb loadbalancers", path: "/ec2/home", fragment: "#LoadBalancers:"},
		{names: "emr", path: "/emr/home"},
		{names: "eventbridge events", path: "/events/home"},
		{names: "glue", path: "/glue/home"},
		{names: "guardduty", path: "/guardduty/home"},
		{names: "home console", path: "/console/home"},
		{names: "iam", path: "/iam/home", global: true},
		{names: "kinesis", path: "/kinesis/home"},
		{names: "kms", path: "/kms/home"},
		{names: "lambda", path: "/lambda/home"},
		{names: "logs", path: "/cloudwatch/home", fragment: "#logsV2:log-groups"},
		{names: "msk kafka", path: "/msk/home"},
		{names: "opensearch", path: "/aos/home"},
		{names: "organizations org", path: "/organizations/v2/home", global: true},
		{names: "rds", path: "/rds/home"},
		{names: "redshift", path: "/redshiftv2/home"},
		{names: "route53 r53", path: "/route53/v2/home", global: true},
		{names: "s3", path: "/s3/home"},
		{names: "sagemaker", path: "/sagemaker/home"},
		{names: "secretsmanager secrets", path: "/secretsmanager/home"},
		{names: "securityhub", path: "/securityhub/home"},
		{names: "servicequotas quotas", path: "/servicequotas/home"},
		{names: "ses", path: "/ses/home"},
		{names: "sns", path: "/sns/v3/home"},
		{names: "sqs", path: "/sqs/v3/home"},
		{names: "ssm", path: "/systems-manager/home"},
		{names: "sso identitycenter", path: "/singlesignon/home"},
		{names: "stepfunctions sfn states", path: "/states/home"},
		{names: "support", path: "/support/home", global: true},
		{names: "vpc", path: "/vpcconsole/home"},
		{names: "waf wafv2", path: "/wafv2/homev2"},
	}
}

// Services returns the names that [Place.Destination] knows, one for each
// service, in alphabetical order.
func Services() []string {
	var names []string
	for _, s := range services() {
		first, _, _ := strings.Cut(s.names, " ")
		names = append(names, first)
	}
	return names
}

// serviceNamed returns the service of that name. Of a name that is not known it
// returns the one that takes the fewest edits to get to.
func serviceNamed(name string) (found service, nearest string, ok bool) {
	name = strings.ToLower(name)
	fewest := -1
	for _, s := range services() {
		names := strings.Fields(s.names)
		if slices.Contains(names, name) {
			return s, "", true
		}
		for _, candidate := range names {
			if edits := editDistance(name, candidate); fewest < 0 || edits < fewest {
				nearest, fewest = candidate, edits
			}
		}
	}
	return service{}, nearest, false
}

// editDistance is the Levenshtein distance in bytes.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
