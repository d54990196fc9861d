"""Who shops here? Where customers live, and what people are called there."""

from typing import NamedTuple


class Country(NamedTuple):
    """``share`` is of all customers, in per cent; the first time zone is the most common one."""

    share: int
    timezones: tuple[str, ...]
    given: str
    family: str


COUNTRIES = (
    Country(
        22,
        ("Europe/Berlin",),
        "Anna Ben Clara Dilara Emil Finn Greta Hannah Jonas Jürgen Käthe Lukas Mia Noah Paula Sören Theo Zoë",
        "Müller Schmidt Schneider Fischer Weber Yılmaz Becker Hoffmann Schäfer Koch Groß Öztürk Vogel Köhler",
    ),
    Country(
        14,
        ("America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles", "Pacific/Honolulu"),
        "Aaliyah Ashley Caleb Dominic Emily Hunter Jasmine Kevin Maria Olivia Ryan Tyler Xavier Zachary",
        "Johnson Williams Brown Garcia Miller O'Brien Washington Nguyen Cohen Jefferson Kowalski Begay",
    ),
    Country(
        10,
        ("Europe/London",),
        "Aisha Callum Charlotte Eilidh George Harriet Imran Niamh Oliver Priya Rhys Sophie",
        "Smith Jones Taylor Patel Khan MacDonald Evans Begum Walker Okafor Hughes",
    ),
    Country(
        9,
        ("Europe/Paris",),
        "Amélie Antoine Chloé François Inès Jérôme Léa Mathéo Noémie Océane Théo Yasmine",
        "Martin Bernard Dubois Lefèvre Moreau Benali Garçon Rousseau Diallo Girard",
    ),
    Country(
        8,
        ("Europe/Madrid", "Atlantic/Canary"),
        "Álvaro Begoña Carmen Íñigo José Lucía Mateo Nuria Pablo Rocío Sofía Xoán",
        "García Fernández González Núñez Etxeberria Peña Muñoz Ferrer Castaño",
    ),
    Country(
        6,
        ("Europe/Warsaw",),
        "Agnieszka Bartłomiej Katarzyna Łukasz Małgorzata Paweł Stanisław Zofia",
        "Nowak Kowalczyk Wiśniewska Wójcik Dąbrowski Zając Szymański",
    ),
    Country(
        5,
        ("Europe/Copenhagen",),
        "Asger Bjørn Freja Ida Jørgen Mads Søren Åse",
        "Jensen Nielsen Sørensen Kjær Møller Ødegård Østergaard",
    ),
    Country(
        6,
        ("America/Sao_Paulo", "America/Manaus", "America/Fortaleza"),
        "Ana Caio Davi Fernanda Gonçalo João Luíza Thaís Vinícius",
        "Silva Santos Araújo Conceição Oliveira Gonçalves Yamamoto",
    ),
    Country(
        5,
        ("Asia/Kolkata",),
        "Aarav Ananya Deepika Harpreet Ishaan Kavya Lakshmi Rohan Vikram",
        "Sharma Iyer Reddy Singh Banerjee Patel Nair Chatterjee",
    ),
    Country(
        4,
        ("Asia/Tokyo",),
        "美咲 翔太 さくら 大輔 結衣 健太",
        "佐藤 鈴木 高橋 田中 渡辺 山本",
    ),
    Country(
        4,
        ("Europe/Kyiv",),
        "Олена Андрій Ірина Тарас Юлія Богдан",
        "Шевченко Коваленко Бондаренко Ткачук Мельник",
    ),
    Country(
        3,
        ("Africa/Lagos",),
        "Adaeze Chinedu Folasade Ibrahim Ngozi Olúwaṣeun Tunde",
        "Adeyemi Okonkwo Balogun Eze Mohammed Òjó",
    ),
    Country(
        2,
        ("Asia/Dubai",),
        "فاطمة محمد ليلى يوسف مريم",
        "الهاشمي حداد منصور خليل",
    ),
    Country(
        2,
        ("Australia/Sydney", "Australia/Perth", "Australia/Adelaide", "Pacific/Auckland"),
        "Aroha Cooper Isla Jack Matilda Tane Willow",
        "Thompson Ngata Kelly Murphy Tran Papadopoulos",
    ),
)
