package csdltest

import (
	"embed"
	"encoding/xml"
	"fmt"
	"strings"
	"sync"
)

//go:embed testdata/v1.0.csdl.xml testdata/samples.json
var files embed.FS

// structure is an entity type or a complex type of the metadata.
type structure struct {
	Name       string         `xml:"Name,attr"`
	BaseType   string         `xml:"BaseType,attr"`
	Properties []propertyType `xml:"Property"`
	Navigation []propertyType `xml:"NavigationProperty"`

	properties map[string]propertyType // with those of the base types
	navigation map[string]propertyType
}

// propertyType is a property of a type.
type propertyType struct {
	Name     string `xml:"Name,attr"`
	Type     string `xml:"Type,attr"`
	Nullable string `xml:"Nullable,attr"`
}

type document map[string]*structure

// load reads the metadata once.
var load = sync.OnceValues(func() (document, error) {
	data, err := files.ReadFile("testdata/v1.0.csdl.xml")
	if err != nil {
		return nil, err
	}
	var schema struct {
		Entities []*structure `xml:"EntityType"`
		Complex  []*structure `xml:"ComplexType"`
	}
	if err := xml.Unmarshal(data, &schema); err != nil {
		return nil, fmt.Errorf("read the metadata: %w", err)
	}
	doc := document{}
	for _, s := range append(append(schema.Entities, schema.Complex...), reference()...) {
		doc[s.Name] = s
	}
	for _, s := range doc {
		s.properties, s.navigation = map[string]propertyType{}, map[string]propertyType{}
		for base := s; base != nil; base = doc[strings.TrimPrefix(base.BaseType, "graph.")] {
			for _, p := range base.Properties {
				s.properties[p.Name] = p
			}
			for _, p := range base.Navigation {
				s.navigation[p.Name] = p
			}
		}
	}
	return doc, nil
})

// reference returns types that the subset of the metadata leaves out, from their reference pages.
func reference() []*structure {
	texts := func(names ...string) []propertyType {
		var list []propertyType
		for _, name := range names {
			list = append(list, propertyType{Name: name, Type: "Edm.String"})
		}
		return list
	}
	return []*structure{
		{Name: "directoryRole", BaseType: "graph.directoryObject",
			Properties: texts("description", "displayName", "roleTemplateId")},
		{Name: "verifiedDomain", Properties: append(texts("capabilities", "name", "type"),
			propertyType{Name: "isDefault", Type: "Edm.Boolean"}, propertyType{Name: "isInitial", Type: "Edm.Boolean"})},
		{Name: "employeeOrgData", Properties: texts("costCenter", "division")},
	}
}

// element returns the type of a collection's items.
func element(typ string) (string, bool) {
	if inner, ok := strings.CutPrefix(typ, "Collection("); ok {
		return strings.TrimSuffix(inner, ")"), true
	}
	return typ, false
}
