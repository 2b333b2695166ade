import { busFailovers } from '../support/bus-failovers.ts'

busFailovers((server) => server.freeze())
