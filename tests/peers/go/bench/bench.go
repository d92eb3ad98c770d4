// The Go client at one job of the comparison; see bench_client.py, whose arguments and output these are.
package main

import (
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/masterzen/winrm"
)

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func check(output string, code int, err error) {
	must(err)
	if strings.ReplaceAll(output, "\r\n", "\n") != "hello\n" || code != 0 {
		must(fmt.Errorf("the answer is %q, %d", output, code))
	}
}

func full(client *winrm.Client) {
	var stdout, stderr bytes.Buffer
	code, err := client.Run("echo hello", &stdout, &stderr)
	check(stdout.String(), code, err)
}

func kept(shell *winrm.Shell) {
	command, err := shell.Execute("echo", "hello")
	must(err)
	var stdout bytes.Buffer
	done := make(chan error, 1)
	go func() {
		_, err := stdout.ReadFrom(command.Stdout)
		done <- err
	}()
	errors := make(chan error, 1)
	go func() {
		_, err := new(bytes.Buffer).ReadFrom(command.Stderr)
		errors <- err
	}()
	command.Wait()
	must(<-done)
	must(<-errors)
	check(stdout.String(), command.ExitCode(), command.Close())
}

func usage() (syscall.Rusage, float64) {
	var usage syscall.Rusage
	must(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	seconds := func(time syscall.Timeval) float64 { return float64(time.Sec) + float64(time.Usec)/1e6 }
	return usage, seconds(usage.Utime) + seconds(usage.Stime)
}

func main() {
	job, transport, address, user, passwordFile := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	count, err := strconv.Atoi(os.Args[6])
	must(err)
	password, err := os.ReadFile(passwordFile)
	must(err)
	parsed, err := url.Parse(address)
	must(err)
	port, err := strconv.Atoi(parsed.Port())
	must(err)
	endpoint := winrm.NewEndpoint(parsed.Hostname(), port, false, false, nil, nil, nil, 60*time.Second)
	parameters := *winrm.DefaultParameters
	if transport == "ntlm" {
		parameters.TransportDecorator = func() winrm.Transporter { return &winrm.ClientNTLM{} }
	}
	client, err := winrm.NewClientWithParameters(endpoint, user, strings.TrimSpace(string(password)), &parameters)
	must(err)
	var shell *winrm.Shell
	if job == "full" {
		full(client)
	}
	if job == "kept" {
		shell, err = client.CreateShell()
		must(err)
		kept(shell)
	}
	begin := time.Now()
	_, before := usage()
	for n := 0; n < count; n++ {
		if job == "kept" {
			kept(shell)
		} else {
			full(client)
		}
	}
	after, cpu := usage()
	fmt.Printf("{\"cpu\": %f, \"wall\": %f, \"kilobytes\": %d}\n", cpu-before, time.Since(begin).Seconds(), after.Maxrss)
	if shell != nil {
		must(shell.Close())
	}
}
