package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	fileMax  = 1 << 20
	depthMax = 32
)

// Collateral is what quotes are verified with: certificates, revocation lists, TCB info and QE identities, of any number of platforms.
// It is trusted as little as the evidence: all of it is signed. Verifications share it; Add and they must not run at once.
type Collateral struct {
	certificates []*x509.Certificate
	lists        []*x509.RevocationList
	documents    []*document
}

// ReadCollateral adds every file of a folder, two levels deep, as `cella platform export-collateral` and `cella evidence
// fetch-collateral` write them. Names do not matter, and what is no collateral is left out.
func ReadCollateral(folder string) (*Collateral, error) {
	c := &Collateral{}
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, _ := filepath.Rel(folder, path)
		if entry.IsDir() && strings.Count(relative, string(filepath.Separator)) >= 2 {
			return fs.SkipDir
		}
		if info, err := entry.Info(); err != nil || !info.Mode().IsRegular() || info.Size() > fileMax {
			return nil
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_ = c.Add(data)
		return nil
	})
	return c, err
}

// Add takes certificates or a revocation list (PEM or DER; also hexadecimal), TCB info or a QE identity (JSON).
func (c *Collateral) Add(data []byte) error {
	if trimmed := bytes.Trim(data, "\x00 \t\r\n"); len(trimmed) > 0 && trimmed[0] == '{' {
		d, err := parseDocument(trimmed)
		if err == nil {
			c.documents = append(c.documents, d)
		}
		return err
	}
	if certificates, err := parseCertificates(data); err == nil && len(certificates) > 0 {
		c.certificates = append(c.certificates, certificates...)
		return nil
	}
	der := data
	if block, _ := pem.Decode(data); block != nil && block.Type == "X509 CRL" {
		der = block.Bytes
	} else if decoded, err := hex.DecodeString(string(bytes.TrimSpace(data))); err == nil {
		der = decoded
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		return fmt.Errorf("attest: no collateral: %w", err)
	}
	c.lists = append(c.lists, list)
	return nil
}

// document is TCB info or a QE identity, with the bytes that are signed.
type document struct {
	isTCB     bool
	body      []byte
	compact   []byte // without white space: files are indented by people
	signature []byte
	issued    time.Time
	next      time.Time
	tcb       tcbInfo
	qe        qeIdentity
	signer    *certificate // found by a verification's copy
}

type tcbLevel struct {
	components [16]int
	pceSVN     int
	date       time.Time
	status     Status
	advisories []string
}

type tcbInfo struct {
	fmspc  [6]byte
	pceID  [2]byte
	levels []tcbLevel
}

type qeLevel struct {
	svn        int
	status     Status
	advisories []string
}

type qeIdentity struct {
	miscSelect, miscMask [4]byte
	attributes, mask     [16]byte
	signer               [32]byte
	product              int
	levels               []qeLevel
}

func known(status Status) bool {
	switch status {
	case UpToDate, SWHardeningNeeded, ConfigurationNeeded, ConfigurationAndSWHardeningNeeded, OutOfDate,
		OutOfDateConfigurationNeeded, Revoked:
		return true
	}
	return false
}

func hexInto(out []byte, text string) error {
	decoded, err := hex.DecodeString(text)
	if err != nil || len(decoded) != len(out) {
		return fmt.Errorf("attest: '%s' is not %d bytes in hexadecimal", text, len(out))
	}
	copy(out, decoded)
	return nil
}

// checkShape refuses what readers of JSON take differently: keys twice, deep nesting, text that is not UTF-8.
func checkShape(data []byte) error {
	if !utf8.Valid(data) {
		return errors.New("attest: the document is not UTF-8")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	type level struct {
		keys  map[string]bool // nil: an array
		isKey bool
	}
	var stack []level
	for {
		token, err := decoder.Token()
		if err != nil {
			return nil // the end; syntax was checked by who called
		}
		if len(stack) > 0 && stack[len(stack)-1].isKey {
			if key, ok := token.(string); ok {
				top := &stack[len(stack)-1]
				if top.keys[key] {
					return fmt.Errorf("attest: the key '%s' is there twice", key)
				}
				top.keys[key] = true
				top.isKey = false
				continue
			}
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			if len(stack) == depthMax {
				return errors.New("attest: the document is nested too deep")
			}
			next := level{}
			if token == json.Delim('{') {
				next = level{keys: map[string]bool{}, isKey: true}
			}
			stack = append(stack, next)
			continue
		case json.Delim('}'), json.Delim(']'):
			stack = stack[:len(stack)-1]
		}
		if len(stack) > 0 && stack[len(stack)-1].keys != nil {
			stack[len(stack)-1].isKey = true
		}
	}
}

func parseDocument(data []byte) (*document, error) {
	var outer struct {
		TCBInfo         json.RawMessage `json:"tcbInfo"`
		EnclaveIdentity json.RawMessage `json:"enclaveIdentity"`
		Signature       string          `json:"signature"`
	}
	if err := json.Unmarshal(data, &outer); err != nil {
		return nil, err
	}
	if err := checkShape(data); err != nil {
		return nil, err
	}
	d := &document{isTCB: outer.TCBInfo != nil, body: outer.TCBInfo, signature: make([]byte, 64)}
	if (outer.TCBInfo != nil) == (outer.EnclaveIdentity != nil) {
		return nil, errors.New("attest: neither TCB info nor a QE identity")
	}
	if !d.isTCB {
		d.body = outer.EnclaveIdentity
	}
	var compact bytes.Buffer
	if err := errors.Join(json.Compact(&compact, d.body), hexInto(d.signature, outer.Signature)); err != nil {
		return nil, err
	}
	d.compact = compact.Bytes()
	if d.isTCB {
		return d, d.parseTCB()
	}
	return d, d.parseQE()
}

type dates struct {
	IssueDate  time.Time `json:"issueDate"`
	NextUpdate time.Time `json:"nextUpdate"`
}

func (d *document) parseTCB() error {
	var info struct {
		dates
		ID        *string `json:"id"`
		Version   int     `json:"version"`
		FMSPC     string  `json:"fmspc"`
		PCEID     string  `json:"pceId"`
		TCBLevels []struct {
			TCB struct {
				PCESVN     *int `json:"pcesvn"`
				Components []struct {
					SVN int `json:"svn"`
				} `json:"sgxtcbcomponents"`
			} `json:"tcb"`
			RawTCB      json.RawMessage `json:"-"`
			TCBDate     time.Time       `json:"tcbDate"`
			TCBStatus   Status          `json:"tcbStatus"`
			AdvisoryIDs []string        `json:"advisoryIDs"`
		} `json:"tcbLevels"`
	}
	if err := json.Unmarshal(d.body, &info); err != nil {
		return err
	}
	switch {
	case info.Version == 3 && (info.ID == nil || *info.ID != "SGX"):
		return errors.New("attest: the TCB info is not for SGX")
	case info.Version != 2 && info.Version != 3:
		return fmt.Errorf("attest: TCB info of version %d", info.Version)
	case len(info.TCBLevels) == 0:
		return errors.New("attest: TCB info without levels")
	}
	if err := errors.Join(hexInto(d.tcb.fmspc[:], info.FMSPC), hexInto(d.tcb.pceID[:], info.PCEID)); err != nil {
		return err
	}
	var old struct { // version 2 has a field for each component
		TCBLevels []struct {
			TCB map[string]int `json:"tcb"`
		} `json:"tcbLevels"`
	}
	if info.Version == 2 {
		if err := json.Unmarshal(d.body, &old); err != nil {
			return err
		}
	}
	d.issued, d.next = info.IssueDate, info.NextUpdate
	for i, given := range info.TCBLevels {
		level := tcbLevel{date: given.TCBDate, status: given.TCBStatus, advisories: given.AdvisoryIDs}
		if !known(level.status) || given.TCB.PCESVN == nil {
			return fmt.Errorf("attest: TCB level %d has no PCE SVN, or the unknown status '%s'", i, level.status)
		}
		level.pceSVN = *given.TCB.PCESVN
		for n := range level.components {
			if info.Version == 2 {
				svn, ok := old.TCBLevels[i].TCB[fmt.Sprintf("sgxtcbcomp%02dsvn", n+1)]
				if !ok {
					return fmt.Errorf("attest: TCB level %d has not 16 components", i)
				}
				level.components[n] = svn
			} else if len(given.TCB.Components) != len(level.components) {
				return fmt.Errorf("attest: TCB level %d has not 16 components", i)
			} else {
				level.components[n] = given.TCB.Components[n].SVN
			}
		}
		for _, other := range d.tcb.levels {
			if other.components == level.components && other.pceSVN == level.pceSVN {
				return errors.New("attest: two TCB levels are equal")
			}
		}
		d.tcb.levels = append(d.tcb.levels, level)
	}
	sort.SliceStable(d.tcb.levels, func(i, j int) bool { return above(&d.tcb.levels[i], &d.tcb.levels[j]) })
	return nil
}

// above orders levels as Intel's service lists them: the highest first.
func above(a, b *tcbLevel) bool {
	for i := range a.components {
		if a.components[i] != b.components[i] {
			return a.components[i] > b.components[i]
		}
	}
	return a.pceSVN > b.pceSVN
}

func (d *document) parseQE() error {
	var identity struct {
		dates
		ID             string `json:"id"`
		Version        int    `json:"version"`
		MiscSelect     string `json:"miscselect"`
		MiscSelectMask string `json:"miscselectMask"`
		Attributes     string `json:"attributes"`
		AttributesMask string `json:"attributesMask"`
		MRSIGNER       string `json:"mrsigner"`
		ISVProdID      *int   `json:"isvprodid"`
		TCBLevels      []struct {
			TCB struct {
				ISVSVN *int `json:"isvsvn"`
			} `json:"tcb"`
			TCBStatus   Status   `json:"tcbStatus"`
			AdvisoryIDs []string `json:"advisoryIDs"`
		} `json:"tcbLevels"`
	}
	if err := json.Unmarshal(d.body, &identity); err != nil {
		return err
	}
	if identity.ID != "QE" || identity.Version != 2 || identity.ISVProdID == nil || len(identity.TCBLevels) == 0 {
		return errors.New("attest: the identity is not version 2 of SGX's quoting enclave's")
	}
	d.issued, d.next, d.qe.product = identity.IssueDate, identity.NextUpdate, *identity.ISVProdID
	for _, given := range identity.TCBLevels {
		if !known(given.TCBStatus) || given.TCB.ISVSVN == nil {
			return fmt.Errorf("attest: the QE identity has a level with the unknown status '%s'", given.TCBStatus)
		}
		d.qe.levels = append(d.qe.levels, qeLevel{*given.TCB.ISVSVN, given.TCBStatus, given.AdvisoryIDs})
	}
	sort.SliceStable(d.qe.levels, func(i, j int) bool { return d.qe.levels[i].svn > d.qe.levels[j].svn })
	return errors.Join(hexInto(d.qe.miscSelect[:], identity.MiscSelect), hexInto(d.qe.miscMask[:], identity.MiscSelectMask),
		hexInto(d.qe.attributes[:], identity.Attributes), hexInto(d.qe.mask[:], identity.AttributesMask),
		hexInto(d.qe.signer[:], identity.MRSIGNER))
}

// listOf is the newest list of an issuer's that is not of the future; the oldest of those that are, when there are no others.
func (v *verification) listOf(step string, issuer *certificate) (*x509.RevocationList, error) {
	var best *x509.RevocationList
	var wrong error
	if v.policy.Collateral != nil {
		for _, list := range v.policy.Collateral.lists {
			if !bytes.Equal(list.RawIssuer, issuer.RawSubject) {
				continue
			}
			if err := list.CheckSignatureFrom(issuer.Certificate); err != nil {
				wrong = refuse(step, "the list of %s is not signed by it: %v", issuer.Subject.CommonName, err)
				continue
			}
			isNow, wasNow := !list.ThisUpdate.After(v.now), best != nil && !best.ThisUpdate.After(v.now)
			switch {
			case best == nil, isNow && !wasNow, isNow && list.ThisUpdate.After(best.ThisUpdate):
				best = list
			}
		}
	}
	if best == nil && wrong != nil {
		return nil, wrong
	}
	if best == nil {
		return nil, refuse(step, "no revocation list of %s", issuer.Subject.CommonName)
	}
	return best, nil
}

func (v *verification) checkRevoked(step string, c *certificate) error {
	list, err := v.listOf(step, c.issuer)
	if err != nil {
		return err
	}
	v.window("the revocation list of "+c.issuer.Subject.CommonName, list.ThisUpdate, list.NextUpdate)
	for _, revoked := range list.RevokedCertificates {
		if revoked.SerialNumber.Cmp(c.SerialNumber) == 0 {
			v.soft = append(v.soft, refuse("revocation", "%s is revoked", c.Subject.CommonName))
		}
	}
	return nil
}

func (v *verification) revocation() error {
	if err := v.checkRevoked("root_crl", v.pck.issuer); err != nil {
		return err
	}
	return v.checkRevoked("pck_crl", v.pck)
}

// sign finds who signed a document: the TCB signing certificate of the quote's root.
func (v *verification) sign(d *document, step string) error {
	foreign := false
	for _, c := range v.pool.list {
		key, ok := c.PublicKey.(*ecdsa.PublicKey)
		if !ok || !verifyRaw(key, d.body, d.signature) && !verifyRaw(key, d.compact, d.signature) {
			continue
		}
		if c.issuer == nil || c.depth != 1 || c.IsCA || !c.is(nameTCB) || c.issuer != v.pck.issuer.issuer {
			foreign = foreign || (c.is(nameTCB) || !c.IsCA && !c.is(namePCK))
			continue
		}
		if valid := !v.now.Before(c.NotBefore) && !v.now.After(c.NotAfter); d.signer == nil || valid {
			d.signer = c
		}
	}
	switch {
	case d.signer == nil && foreign:
		return refuse("tcb_signing_chain", "the certificate that signed it is no TCB signing certificate of this root")
	case d.signer == nil:
		return refuse(step, "no certificate of the collateral signed it")
	}
	return nil
}
