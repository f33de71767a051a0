// Command gosdk prints the identity that the AWS SDK for Go has under a profile
// whose credential_process is daypass, or with what the environment says. Given a
// number of seconds, it does so four times, as far apart. It is a module of its
// own, so that the SDK's configuration loader stays out of daypass's dependencies.
//
//	gosdk PROFILE|"" [SECONDS]
package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
)

func main() {
	if err := run(context.Background(), os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, profile string, apart []string) error {
	cfg, err := config.LoadDefaultConfig(ctx, config.WithSharedConfigProfile(profile))
	if err != nil {
		return err
	}
	client := sts.NewFromConfig(cfg)
	times, pause := 1, 0
	if len(apart) > 0 {
		times = 4
		if pause, err = strconv.Atoi(apart[0]); err != nil {
			return err
		}
	}
	for i := range times {
		if i > 0 {
			time.Sleep(time.Duration(pause) * time.Second)
		}
		out, err := client.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
		if err != nil {
			return err
		}
		fmt.Println(aws.ToString(out.Arn))
	}
	return nil
}
