package console

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// The pages that people open, under the names of the AWS CLI's commands. The paths
// are those that AWS's own documentation and console link to.
const (
	// regional are pages of the region's console, /NAME/home or with = /PATH/home.
	regional = `
acm amplify appsync athena backup batch bedrock cloudformation cloudtrail=cloudtrailv2 cloudwatch
cognito=cognito/v2 config dynamodb=dynamodbv2 ec2 ecr ecs=ecs/v2 efs eks elasticache elasticbeanstalk
emr eventbridge=events glue guardduty home=console kinesis kms lambda msk opensearch=aos rds
redshift=redshiftv2 s3 sagemaker secretsmanager securityhub servicequotas ses sns=sns/v3 sqs=sqs/v3
ssm=systems-manager sso=singlesignon stepfunctions=states vpc=vpcconsole`
	// global are those that are the same in every region.
	global = `
billing cloudfront=cloudfront/v4 cost=costmanagement iam organizations=organizations/v2
route53=route53/v2 support`
)

// services returns the pages by name. What does not begin with a slash, as a path of
// the region's console does, is a host with a path; a host without {console}, the
// partition's console, exists in partition aws alone.
func services() map[string]string {
	pages := map[string]string{
		"apigateway":   "/apigateway/main/apis",
		"codebuild":    "/codesuite/codebuild/projects",
		"codepipeline": "/codesuite/codepipeline/pipelines",
		"elb":          "/ec2/home#LoadBalancers:",
		"health":       "health.console.aws.amazon.com/health/home",
		"lightsail":    "lightsail.aws.amazon.com/ls/webapp/home",
		"logs":         "/cloudwatch/home#logsV2:log-groups",
		"quicksight":   "{region}.quicksight.aws.amazon.com/sn/start",
		"waf":          "/wafv2/homev2",
	}
	for where, list := range map[string]string{"/": regional, "{console}/": global} {
		for service := range strings.FieldsSeq(list) {
			name, path, _ := strings.Cut(service, "=")
			pages[name] = where + cmp.Or(path, name) + "/home"
		}
	}
	return pages
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
