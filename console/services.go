package console

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// pages are those that people open, under the names of the AWS CLI's commands, with the
// paths that AWS's own documentation and console link to. NAME is short for NAME=NAME,
// and NAME=PATH for the region's console, /PATH/home. Anything else is a path there
// that begins with a slash, or a host with a path: {console} is the partition's
// console, the same in every region, and other hosts exist in partition aws alone.
const pages = `
acm amplify apigateway=/apigateway/main/apis appsync athena backup batch bedrock
billing={console}/billing/home cloudformation cloudfront={console}/cloudfront/v4/home
cloudtrail=cloudtrailv2 cloudwatch codebuild=/codesuite/codebuild/projects
codepipeline=/codesuite/codepipeline/pipelines cognito=cognito/v2 config
cost={console}/costmanagement/home dynamodb=dynamodbv2 ec2 ecr ecs=ecs/v2 efs eks
elasticache elasticbeanstalk elb=/ec2/home#LoadBalancers: emr eventbridge=events glue
guardduty health=health.console.aws.amazon.com/health/home home=console
iam={console}/iam/home kinesis kms lambda lightsail=lightsail.aws.amazon.com/ls/webapp/home
logs=/cloudwatch/home#logsV2:log-groups msk opensearch=aos
organizations={console}/organizations/v2/home
quicksight={region}.quicksight.aws.amazon.com/sn/start rds redshift=redshiftv2
route53={console}/route53/v2/home s3 sagemaker secretsmanager securityhub servicequotas
ses sns=sns/v3 sqs=sqs/v3 ssm=systems-manager sso=singlesignon stepfunctions=states
support={console}/support/home vpc=vpcconsole waf=/wafv2/homev2`

// services returns the pages by name, in full.
func services() map[string]string {
	all := map[string]string{}
	for entry := range strings.FieldsSeq(pages) {
		name, page, _ := strings.Cut(entry, "=")
		if page = cmp.Or(page, name); page[0] != '/' && !strings.ContainsAny(page, ".{") {
			page = "/" + page + "/home"
		}
		all[name] = page
	}
	return all
}

// Services returns the names that [Place.Destination] knows, in alphabetical order.
func Services() []string { return slices.Sorted(maps.Keys(services())) }

// service returns the address of the service that is called name, or of the
// console's home for "".
func (p Place) service(name, region string) (string, error) {
	name = strings.ToLower(cmp.Or(name, "home"))
	page := services()[name]
	switch {
	case page == "":
		like := slices.DeleteFunc(Services(), func(known string) bool { return known[0] != name[0] })
		if len(like) == 0 {
			return "", errors.New("no such service is known")
		}
		return "", fmt.Errorf("no such service is known; with %s there are %s", name[:1], strings.Join(like, ", "))
	case page[0] == '/':
		path, fragment, _ := strings.Cut(page, "#")
		page = strings.TrimSuffix("{region}.{console}"+path+"?region={region}#"+fragment, "#")
	case !strings.Contains(page, "{console}") && p.Partition.Name != "aws":
		return "", fmt.Errorf("daypass does not know its page in partition %s", p.Partition.Name)
	}
	return "https://" + strings.NewReplacer("{console}", p.Partition.Console, "{region}", region).Replace(page), nil
}
