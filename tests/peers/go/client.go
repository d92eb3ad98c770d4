// The Go client as a client of our service.
//
// Built without modules, from the sources that Debian packages:
// GO111MODULE=off GOPATH=/usr/share/gocode go build client.go
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/ioutil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ChrisTrenkamp/goxpath"
	"github.com/ChrisTrenkamp/goxpath/tree"
	"github.com/ChrisTrenkamp/goxpath/tree/xmltree"
	"github.com/gofrs/uuid"
	"github.com/masterzen/simplexml/dom"
	"github.com/masterzen/winrm"
	"github.com/masterzen/winrm/soap"
)

const (
	notAnID = "11111111-2222-3333-4444-555555555555"

	configuration = "http://schemas.microsoft.com/wbem/wsman/1/config"
	cimv2         = "http://schemas.microsoft.com/wbem/wsman/1/wmi/root/cimv2/"
)

var (
	clearURL, tlsURL, refusingURL, user, password, folder string

	// The certificate of the service with TLS, PEM.
	certificate []byte

	passed, failed int
)

// Runs one case and prints its line.
func run(name string, test func() error) {
	result := make(chan error, 1)
	go func() {
		defer func() {
			if reason := recover(); reason != nil {
				result <- fmt.Errorf("panic: %v", reason)
			}
		}()
		result <- test()
	}()
	var err error
	select {
	case err = <-result:
	case <-time.After(60 * time.Second):
		err = fmt.Errorf("not done within 60 s")
	}
	if err != nil {
		failed++
		fmt.Printf("FAIL  %s: %s\n", name, err)
		return
	}
	passed++
	fmt.Printf("ok    %s\n", name)
}

func connect(address, password string) *winrm.Client {
	parsed, err := url.Parse(address)
	if err != nil {
		panic(err)
	}
	port, err := strconv.Atoi(parsed.Port())
	if err != nil {
		panic(err)
	}
	https := parsed.Scheme == "https"
	endpoint := winrm.NewEndpoint(parsed.Hostname(), port, https, false, certificate, nil, nil, 30*time.Second)
	client, err := winrm.NewClient(endpoint, user, password)
	if err != nil {
		panic(err)
	}
	return client
}

// Runs a command in its own shell and compares everything that comes back.
func expect(client *winrm.Client, line, stdin, wantedOut, wantedErr string, wantedCode int) error {
	var stdout, stderr bytes.Buffer
	var code int
	var err error
	if stdin == "" {
		code, err = client.Run(line, &stdout, &stderr)
	} else {
		code, err = client.RunWithInput(line, &stdout, &stderr, strings.NewReader(stdin))
	}
	if err != nil {
		return err
	}
	return same(stdout.String(), stderr.String(), code, wantedOut, wantedErr, wantedCode)
}

func same(stdout, stderr string, code int, wantedOut, wantedErr string, wantedCode int) error {
	if stdout != wantedOut {
		return fmt.Errorf("standard output: expected %s, got %s", short(wantedOut), short(stdout))
	}
	if stderr != wantedErr {
		return fmt.Errorf("standard error: expected %s, got %s", short(wantedErr), short(stderr))
	}
	if code != wantedCode {
		return fmt.Errorf("exit code: expected %d, got %d", wantedCode, code)
	}
	return nil
}

func short(text string) string {
	if len(text) > 200 {
		return fmt.Sprintf("%q… (%d bytes)", text[:200], len(text))
	}
	return fmt.Sprintf("%q", text)
}

// Fails unless there is an error that contains each of the words.
func expectError(err error, words ...string) error {
	if err == nil {
		return fmt.Errorf("expected an error with %q, got none", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			return fmt.Errorf("expected an error with %q, got: %s", word, err)
		}
	}
	return nil
}

// Fails unless the shell gives no command. This client takes a fault for an answer without a command's id, and says so
// only when the command is used.
func expectNoCommand(shell *winrm.Shell) error {
	command, err := shell.Execute("echo no")
	if err != nil {
		return err
	}
	output, err := ioutil.ReadAll(command.Stdout)
	if len(output) > 0 {
		return fmt.Errorf("the command was run: %s", short(string(output)))
	}
	return expectError(err, "already been closed")
}

func cases() {
	client := connect(clearURL, password)

	run("output", func() error {
		return expect(client, "echo hello", "", "hello\n", "", 0)
	})
	run("output and standard error stay apart, with the exit code", func() error {
		return expect(client, "echo out; echo err >&2; exit 7", "", "out\n", "err\n", 7)
	})
	run("exit codes 0, 1, 7, 255", func() error {
		for _, code := range []int{0, 1, 7, 255} {
			if err := expect(client, fmt.Sprintf("exit %d", code), "", "", "", code); err != nil {
				return err
			}
		}
		return nil
	})
	run("standard input", func() error {
		return expect(client, "cat; echo done >&2", "first\nsecond\x00\x01<&>", "first\nsecond\x00\x01<&>", "done\n", 0)
	})
	run("300 kB of standard input and back", func() error {
		text := strings.Repeat("0123456789abcdef", 300*1024/16)
		return expect(client, "cat", text, text, "", 0)
	})
	run("unicode both ways", func() error {
		text := "grün こんにちは 🦀"
		return expect(client, "printf '%s' '"+text+"'; printf '%s' '"+text+"' >&2", "", text, text, 0)
	})
	run("characters of XML in the command", func() error {
		// This client sends them in a CDATA section.
		return expect(client, `printf '%s' '<a b="c">&amp;</rsp:Command>'`, "", `<a b="c">&amp;</rsp:Command>`, "", 0)
	})
	run("1 MB of output", func() error {
		var wanted strings.Builder
		for number := 1; number <= 160000; number++ {
			fmt.Fprintf(&wanted, "%d\n", number)
		}
		return expect(client, "seq 1 160000", "", wanted.String(), "", 0)
	})
	run("the environment and the folder are the service's", func() error {
		return expect(client, `test -n "$PATH" && test -d "$PWD" && echo both`, "", "both\n", "", 0)
	})
	run("several commands in a shell, with arguments", func() error {
		shell, err := client.CreateShell()
		if err != nil {
			return err
		}
		defer shell.Close()
		for number := 0; number < 10; number++ {
			command, err := shell.Execute("printf", "'%s|'", strconv.Itoa(number), "'two words'")
			if err != nil {
				return err
			}
			output, err := ioutil.ReadAll(command.Stdout)
			if err != nil {
				return err
			}
			command.Wait()
			if err := command.Close(); err != nil {
				return err
			}
			wanted := strconv.Itoa(number) + "|two words|"
			if err := same(string(output), "", command.ExitCode(), wanted, "", 0); err != nil {
				return err
			}
		}
		return nil
	})
	run("several clients at once", func() error {
		results := make(chan error, 8)
		for number := 0; number < cap(results); number++ {
			line := fmt.Sprintf("echo %d; exit %d", number, number)
			wanted := fmt.Sprintf("%d\n", number)
			go func(code int) { results <- expect(connect(clearURL, password), line, "", wanted, "", code) }(number)
		}
		for number := 0; number < cap(results); number++ {
			if err := <-results; err != nil {
				return err
			}
		}
		return nil
	})
	run("wrong password", func() error {
		_, err := connect(clearURL, "wrong").CreateShell()
		return expectError(err, "401")
	})
	run("clear text is refused where it isn't allowed, and nothing is run", func() error {
		marker := filepath.Join(folder, "ran-by-go")
		_, err := connect(refusingURL, password).Run("touch '"+marker+"'", ioutil.Discard, ioutil.Discard)
		if err := expectError(err, "401"); err != nil {
			return err
		}
		if _, err := os.Stat(marker); !os.IsNotExist(err) {
			return fmt.Errorf("the command was run")
		}
		return nil
	})
	run("unknown shell", func() error {
		return expectNoCommand(client.NewShell(notAnID))
	})
	run("a shell that was closed", func() error {
		shell, err := client.CreateShell()
		if err != nil {
			return err
		}
		if err := shell.Close(); err != nil {
			return err
		}
		return expectNoCommand(shell)
	})
	run("https", func() error {
		return expect(connect(tlsURL, password), "echo over TLS; exit 9", "", "over TLS\n", "", 9)
	})
}

// Sends a message of the client's building blocks to a resource, with what `body` puts into it, and gives the answer.
//
// The blocks know one selector, a shell's, and so nothing that is addressed by other keys.
func send(action, resource string, body func(*soap.SoapMessage)) (tree.Node, error) {
	message := soap.NewMessage()
	message.Header().
		To(clearURL).
		ReplyTo(soap.NS_ADDRESSING + "/role/anonymous").
		MaxEnvelopeSize(153600).
		Id("uuid:" + uuid.Must(uuid.NewV4()).String()).
		Locale("en-US").
		Timeout("PT60S").
		Action(action).
		ResourceURI(resource).
		Build()
	if body == nil {
		message.NewBody()
	} else {
		body(message)
	}
	endpoint := winrm.NewEndpoint("", 0, false, false, nil, nil, nil, 30*time.Second)
	transport := winrm.NewClientWithProxyFunc(nil)
	if err := transport.Transport(endpoint); err != nil {
		return nil, err
	}
	// A fault comes back as any other answer: this client looks at the status in vain.
	answer, err := transport.Post(connect(clearURL, password), message)
	if err != nil {
		return nil, err
	}
	return xmltree.ParseXML(strings.NewReader(answer))
}

// The texts of all nodes that a path finds.
func texts(answer tree.Node, path string) []string {
	found := []string{}
	nodes, err := goxpath.MustParse(path).ExecNode(answer, soap.GetAllXPathNamespaces())
	if err != nil {
		panic(err)
	}
	for _, node := range nodes {
		found = append(found, node.ResValue())
	}
	return found
}

// Fails unless a path finds exactly these texts.
func expectTexts(answer tree.Node, path string, wanted ...string) error {
	if found := texts(answer, path); fmt.Sprint(found) != fmt.Sprint(wanted) {
		return fmt.Errorf("%s: expected %q, got %q", path, wanted, found)
	}
	return nil
}

// Fails unless the answer is this fault.
func expectFault(action, resource string, body func(*soap.SoapMessage), code uint32) error {
	answer, err := send(action, resource, body)
	if err != nil {
		return err
	}
	return expectTexts(answer, "//f:WSManFault/@Code", fmt.Sprint(code))
}

func enumerate(message *soap.SoapMessage) {
	message.CreateBodyElement("Enumerate", soap.DOM_NS_ENUM)
}

// What asks for the next two of an enumeration.
func pull(context string) func(*soap.SoapMessage) {
	return func(message *soap.SoapMessage) {
		pull := message.CreateBodyElement("Pull", soap.DOM_NS_ENUM)
		message.CreateElement(pull, "EnumerationContext", soap.DOM_NS_ENUM).SetContent(context)
		message.CreateElement(pull, "MaxElements", soap.DOM_NS_ENUM).SetContent("2")
	}
}

// Enumerates a resource two by two, and gives all answers with elements.
func list(resource string) ([]tree.Node, error) {
	answer, err := send(soap.NS_ENUM+"/Enumerate", resource, enumerate)
	if err != nil {
		return nil, err
	}
	pages := []tree.Node{}
	for {
		contexts := texts(answer, "//n:EnumerationContext")
		if len(contexts) != 1 {
			return nil, fmt.Errorf("contexts of an enumeration: %q", contexts)
		}
		answer, err = send(soap.NS_ENUM+"/Pull", resource, pull(contexts[0]))
		if err != nil {
			return nil, err
		}
		pages = append(pages, answer)
		if len(texts(answer, "//n:EndOfSequence")) == 1 {
			return pages, expectFault(soap.NS_ENUM+"/Pull", resource, pull(contexts[0]), 0x8033801B)
		}
	}
}

func verbs() {
	run("the configuration, and a part of it", func() error {
		answer, err := send(soap.NS_TRANSFER+"/Get", configuration, nil)
		if err != nil {
			return err
		}
		part := fmt.Sprintf("//*[local-name()='Config' and namespace-uri()='%s']", configuration)
		if err := expectTexts(answer, part+"/*[local-name()='Service']/*[local-name()='AllowUnencrypted']", "true"); err != nil {
			return err
		}
		if err := expectTexts(answer, "//a:Action", soap.NS_TRANSFER+"/GetResponse"); err != nil {
			return err
		}
		answer, err = send(soap.NS_TRANSFER+"/Get", configuration+"/winrs", nil)
		if err != nil {
			return err
		}
		part = fmt.Sprintf("//*[local-name()='Winrs' and namespace-uri()='%s/winrs']", configuration)
		return expectTexts(answer, part+"/*[local-name()='AllowRemoteShellAccess']", "true")
	})
	run("a setting that is changed", func() error {
		_, err := send(soap.NS_TRANSFER+"/Put", configuration+"/client", func(message *soap.SoapMessage) {
			namespace := dom.Namespace{Prefix: "cfg", Uri: configuration + "/client"}
			client := message.CreateBodyElement("Client", namespace)
			message.CreateElement(client, "TrustedHosts", namespace).SetContent("<![CDATA[go,client&co]]>")
		})
		if err != nil {
			return err
		}
		answer, err := send(soap.NS_TRANSFER+"/Get", configuration+"/client", nil)
		if err != nil {
			return err
		}
		return expectTexts(answer, "//*[local-name()='TrustedHosts']", "go,client&co")
	})
	run("the listeners", func() error {
		pages, err := list(configuration + "/listener")
		if err != nil {
			return err
		}
		if len(pages) != 1 {
			return fmt.Errorf("two listeners came in %d answers", len(pages))
		}
		ports := []string{}
		for _, address := range []string{clearURL, tlsURL} {
			parsed, err := url.Parse(address)
			if err != nil {
				return err
			}
			ports = append(ports, parsed.Port())
		}
		if err := expectTexts(pages[0], "//n:Items/*/*[local-name()='Transport']", "HTTP", "HTTPS"); err != nil {
			return err
		}
		return expectTexts(pages[0], "//n:Items/*/*[local-name()='Port']", ports...)
	})
	run("the operating system", func() error {
		pages, err := list(cimv2 + "Win32_OperatingSystem")
		if err != nil {
			return err
		}
		machine, err := os.Hostname()
		if err != nil {
			return err
		}
		if len(pages) != 1 {
			return fmt.Errorf("one operating system came in %d answers", len(pages))
		}
		item := fmt.Sprintf("//n:Items/*[namespace-uri()='%sWin32_OperatingSystem']", cimv2)
		return expectTexts(pages[0], item+"/*[local-name()='CSName']", machine)
	})
	run("a list that takes several answers", func() error {
		pages, err := list(cimv2 + "Win32_Process")
		if err != nil {
			return err
		}
		own := 0
		for _, page := range pages {
			found := len(texts(page, "//n:Items/*"))
			if found > 2 {
				return fmt.Errorf("%d elements where 2 were asked for", found)
			}
			own += len(texts(page, fmt.Sprintf("//*[local-name()='ProcessId' and .='%d']", os.Getpid())))
		}
		if own != 1 {
			return fmt.Errorf("this process is %d times in the list", own)
		}
		return nil
	})
	run("a process that is made", func() error {
		class := cimv2 + "Win32_Process"
		marker := filepath.Join(folder, "made-by-go")
		answer, err := send(class+"/Create", class, func(message *soap.SoapMessage) {
			namespace := dom.Namespace{Prefix: "cls", Uri: class}
			input := message.CreateBodyElement("Create_INPUT", namespace)
			line := message.CreateElement(input, "CommandLine", namespace)
			// Windows starts a program without a shell here.
			line.SetContent("<![CDATA[sh -c \"echo '<&>' > '" + marker + "'\"]]>")
		})
		if err != nil {
			return err
		}
		if err := expectTexts(answer, "//*[local-name()='Create_OUTPUT']/*[local-name()='ReturnValue']", "0"); err != nil {
			return err
		}
		if ids := texts(answer, "//*[local-name()='Create_OUTPUT']/*[local-name()='ProcessId']"); len(ids) != 1 || ids[0] == "0" {
			return fmt.Errorf("ids of the process: %q", ids)
		}
		for {
			// The case's own deadline ends this.
			if content, err := ioutil.ReadFile(marker); err == nil && string(content) == "<&>\n" {
				return nil
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
	run("verbs that are wrong", func() error {
		for _, wrong := range []struct {
			action, resource string
			body             func(*soap.SoapMessage)
			code             uint32
		}{
			{soap.NS_TRANSFER + "/Get", configuration + "/listener", nil, 0x8033805A},
			{soap.NS_TRANSFER + "/Delete", configuration + "/winrs", nil, 0x80338013},
			{soap.NS_TRANSFER + "/Put", configuration + "/winrs", nil, 0x80338041},
			{soap.NS_ENUM + "/Enumerate", configuration + "/listener", nil, 0x80338041},
			{soap.NS_ENUM + "/Pull", configuration + "/listener", pull(notAnID), 0x8033801B},
		} {
			if err := expectFault(wrong.action, wrong.resource, wrong.body, wrong.code); err != nil {
				return fmt.Errorf("%s of %s: %s", wrong.action, wrong.resource, err)
			}
		}
		return nil
	})
}

func main() {
	var passwordFile, certificateFile string
	flag.StringVar(&clearURL, "url", "", "a service that takes clear text")
	flag.StringVar(&tlsURL, "tls-url", "", "the same over TLS, with a self-signed certificate")
	flag.StringVar(&refusingURL, "refusing-url", "", "a service that takes no clear text")
	flag.StringVar(&user, "user", "", "")
	flag.StringVar(&passwordFile, "password-file", "", "")
	flag.StringVar(&certificateFile, "certificate", "", "the certificate of the service with TLS")
	flag.StringVar(&folder, "folder", "", "an empty folder for whatever the cases write")
	flag.Bool("powershell", false, "not used")
	flag.Parse()
	content, err := ioutil.ReadFile(passwordFile)
	if err != nil {
		panic(err)
	}
	password = strings.TrimRight(string(content), "\n")
	if certificate, err = ioutil.ReadFile(certificateFile); err != nil {
		panic(err)
	}
	cases()
	verbs()
	fmt.Printf("%d cases passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		os.Exit(1)
	}
}
