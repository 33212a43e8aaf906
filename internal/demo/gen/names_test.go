package gen

import "strings"

// culture is a pool of names that go together. A name is "native/latin"; the latin form is left out where both are the
// same. A family name that is inflected has "native/latin/native/latin", a man's first.
type culture struct {
	city  string
	count int
	// familyFirst says that the family name comes first when the name is shown, and glue what stands between.
	familyFirst bool
	glue        string
	men, women  []string
	families    []string
}

var cultures = []culture{
	{
		city: "Berlin", count: 34, glue: " ",
		men:   list("Jürgen/Juergen Lukas Björn/Bjoern Matthias Jörg/Joerg Sebastian Günther/Guenther Karl-Heinz"),
		women: list("Käthe/Kaethe Anna Svenja Marlene Jana Friederike Hannelore Ann-Kathrin"),
		families: list("Müller/Mueller Schröder/Schroeder Weiß/Weiss Krämer/Kraemer Großmann/Grossmann Vogel " +
			"Schäfer/Schaefer Lehmann Böhm/Boehm Köhler/Koehler Brandt"),
	},
	{
		city: "Dublin", count: 40, glue: " ",
		men:      list("James Oliver Seán/Sean Declan Padraig Thomas Rory William"),
		women:    list("Siobhán/Siobhan Aoife Charlotte Niamh Emily Róisín/Roisin Grace Sinéad/Sinead"),
		families: list("O'Brien Walsh O'Connor Byrne Fitzgerald McCarthy Ryan Kavanagh Smith-Jones Doyle D'Arcy"),
	},
	{
		city: "Paris", count: 14, glue: " ",
		men:      list("François/Francois Jean-Baptiste Étienne/Etienne Loïc/Loic Benoît/Benoit Hervé/Herve"),
		women:    list("Élodie/Elodie Zoé/Zoe Anaïs/Anais Marie-Thérèse/Marie-Therese Héloïse/Heloise Camille"),
		families: list("Lefèvre/Lefevre Dubois Benoît/Benoit Çelik-Martin/Celik-Martin Gauthier L'Hôpital/LHopital Rousseau"),
	},
	{
		city: "Madrid", count: 14, glue: " ",
		men:      list("José/Jose Íñigo/Inigo Andrés/Andres Joaquín/Joaquin Álvaro/Alvaro"),
		women:    list("María/Maria Lucía/Lucia Begoña/Begona Inés/Ines Nuria"),
		families: list("Muñoz_Peña/MunozPena García_López/GarciaLopez Núñez/Nunez Ibáñez_Ruiz/IbanezRuiz Castaño/Castano"),
	},
	{
		city: "Warsaw", count: 18, glue: " ",
		men:   list("Paweł/Pawel Łukasz/Lukasz Michał/Michal Grzegorz Stanisław/Stanislaw"),
		women: list("Małgorzata/Malgorzata Agnieszka Żaneta/Zaneta Zofia Bożena/Bozena"),
		families: list("Kowalski//Kowalska/ Wiśniewski/Wisniewski/Wiśniewska/Wisniewska Zając/Zajac Wójcik/Wojcik " +
			"Żółkiewski/Zolkiewski/Żółkiewska/Zolkiewska"),
	},
	{
		city: "Istanbul", count: 8, glue: " ",
		men:      list("İbrahim/Ibrahim Çağrı/Cagri Oğuz/Oguz"),
		women:    list("Işıl/Isil Şule/Sule Gülşen/Gulsen"),
		families: list("Yıldız/Yildiz Öztürk/Ozturk Işık/Isik Güneş/Gunes"),
	},
	{
		city: "Copenhagen", count: 12, glue: " ",
		men:      list("Søren/Soeren Åke/Aake Þorvaldur/Thorvaldur Jørgen/Joergen"),
		women:    list("Astrid Guðrún/Gudrun Bodil Märta/Maerta"),
		families: list("Sørensen/Soerensen Ångström/Aangstroem Bjørnsdóttir/Bjoernsdottir Nygård/Nygaard Kjær/Kjaer"),
	},
	{
		city: "Athens", count: 13, glue: " ",
		men:   list("Νίκος/Nikos Γιώργος/Giorgos Κωνσταντίνος/Konstantinos Δημήτρης/Dimitris"),
		women: list("Ελένη/Eleni Μαρία/Maria Αικατερίνη/Aikaterini Σοφία/Sofia"),
		families: list("Παπαδόπουλος/Papadopoulos/Παπαδοπούλου/Papadopoulou Οικονόμου/Oikonomou " +
			"Βλάχος/Vlachos/Βλάχου/Vlachou Νικολαΐδης/Nikolaidis/Νικολαΐδου/Nikolaidou"),
	},
	{
		city: "Sofia", count: 14, glue: " ",
		men:   list("Георги/Georgi Иван/Ivan Димитър/Dimitar Йордан/Yordan"),
		women: list("Мария/Mariya Цветелина/Tsvetelina Елена/Elena Юлия/Yuliya"),
		families: list("Иванов/Ivanov/Иванова/Ivanova Петров/Petrov/Петрова/Petrova Стоянов/Stoyanov/Стоянова/Stoyanova " +
			"Живков/Zhivkov/Живкова/Zhivkova"),
	},
	{
		city: "Cairo", count: 10, glue: " ",
		men:      list("محمد/Mohamed أحمد/Ahmed يوسف/Youssef"),
		women:    list("فاطمة/Fatma مريم/Mariam نور/Nour"),
		families: list("عبد_الرحمن/AbdelRahman حسن/Hassan المصري/ElMasry السيد/ElSayed"),
	},
	{
		city: "Haifa", count: 9, glue: " ",
		men:      list("דוד/David אבי/Avi יונתן/Yonatan"),
		women:    list("נועה/Noa תמר/Tamar שירה/Shira"),
		families: list("כהן/Cohen לוי/Levi בן־דוד/BenDavid מזרחי/Mizrahi"),
	},
	{
		city: "Shanghai", count: 11, familyFirst: true,
		men:      list("伟/Wei 志强/Zhiqiang 建国/Jianguo"),
		women:    list("秀英/Xiuying 丽娜/Lina 雪梅/Xuemei"),
		families: list("张/Zhang 王/Wang 欧阳/Ouyang 陈/Chen"),
	},
	{
		city: "Osaka", count: 12, familyFirst: true, glue: " ",
		men:      list("健太/Kenta 大輔/Daisuke 翔/Sho"),
		women:    list("美咲/Misaki さくら/Sakura 陽子/Yoko"),
		families: list("田中/Tanaka 髙橋/Takahashi 渡邊/Watanabe 小林/Kobayashi"),
	},
	{
		city: "Seoul", count: 9, familyFirst: true,
		men:      list("민준/Minjun 지훈/Jihun 성호/Seongho"),
		women:    list("서연/Seoyeon 지우/Jiwoo 은지/Eunji"),
		families: list("김/Kim 이/Lee 박/Park 남궁/Namgung"),
	},
	{
		city: "Pune", count: 12, glue: " ",
		men:      list("अर्जुन/Arjun राजेश/Rajesh विक्रम/Vikram"),
		women:    list("प्रिया/Priya अनन्या/Ananya लक्ष्मी/Lakshmi"),
		families: list("शर्मा/Sharma कुलकर्णी/Kulkarni देशपांडे/Deshpande पटेल/Patel"),
	},
}

// list splits at blanks; an underscore stands for a blank within a name.
func list(names string) []string { return strings.Fields(names) }

// forms returns the native and the latin form of a name, for a woman where it is inflected.
func forms(name string, woman bool) (native, latin string) {
	parts := strings.Split(strings.ReplaceAll(name, "_", " "), "/")
	if woman && len(parts) == 4 {
		parts = parts[2:]
	}
	native, latin = parts[0], parts[0]
	if len(parts) > 1 && parts[1] != "" {
		latin = parts[1]
	}
	return native, latin
}
