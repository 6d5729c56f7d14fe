/**
 * A small react-admin application as somebody writes one: accounts and posts of an Ironrule server, reached through the
 * data provider that react-admin publishes, with nothing in between but the token.
 */
import { createRoot } from "react-dom/client";
import {
  Admin,
  BooleanField,
  BooleanInput,
  Create,
  Datagrid,
  Edit,
  fetchUtils,
  List,
  NumberField,
  NumberInput,
  Pagination,
  Resource,
  SelectInput,
  SimpleForm,
  TextField,
  TextInput,
} from "react-admin";
import simpleRestProvider from "ra-data-simple-rest";
import { QueryClient } from "@tanstack/react-query";

const api = document.querySelector('meta[name="api"]').content;
let token = null;

const authProvider = {
  async login({ username, password }) {
    const answer = await fetch(`${api}/api/auth/login`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ identity: username, password }),
    });
    const body = await answer.json();
    if (!answer.ok) throw new Error(body.message);
    token = body.access_token;
  },
  async logout() {
    token = null;
  },
  async checkAuth() {
    if (!token) throw new Error("nobody is signed in");
  },
  async checkError({ status }) {
    if (status === 401) throw new Error("the session is over");
  },
  async getPermissions() {},
};

/** Adds the token. What the server finds wrong with fields is handed on under their names, where react-admin shows it. */
async function http(url, options = {}) {
  try {
    return await fetchUtils.fetchJson(url, { ...options, user: { authenticated: true, token: `Bearer ${token}` } });
  } catch (error) {
    const wrong = (error.body?.errors ?? []).map(({ pointer, message }) => [pointer.slice(1).replaceAll("/", "."), message]);
    if (wrong.length > 0) error.body.errors = { ...Object.fromEntries(wrong), root: { serverError: error.message } };
    throw error;
  }
}

const dataProvider = simpleRestProvider(`${api}/api/records`, http);

/** A server of one's own can be reached without the internet, for which a browser would let every query wait. */
const always = { networkMode: "always" };
const queryClient = new QueryClient({ defaultOptions: { queries: { ...always, retry: false }, mutations: always } });

const statuses = [
  { id: "draft", name: "Draft" },
  { id: "live", name: "Live" },
];

const filters = [
  <TextInput key="title" source="title" label="Title is" alwaysOn />,
  <SelectInput key="status" source="status" label="Status is" choices={statuses} alwaysOn />,
];

const Posts = () => (
  <List filters={filters} sort={{ field: "title", order: "ASC" }} perPage={5} pagination={<Pagination rowsPerPageOptions={[5, 25]} />}>
    <Datagrid rowClick="edit">
      <TextField source="title" />
      <NumberField source="views" />
      <TextField source="status" />
      <BooleanField source="published" />
    </Datagrid>
  </List>
);

const fields = [
  <TextInput key="title" source="title" />,
  <NumberInput key="views" source="views" />,
  <SelectInput key="status" source="status" choices={statuses} />,
  <BooleanInput key="published" source="published" />,
];

const EditPost = () => (
  <Edit mutationMode="pessimistic">
    <SimpleForm>{fields}</SimpleForm>
  </Edit>
);

const CreatePost = () => (
  <Create redirect="list">
    <SimpleForm>{fields}</SimpleForm>
  </Create>
);

createRoot(document.getElementById("root")).render(
  <Admin {...{ dataProvider, authProvider, queryClient }} requireAuth disableTelemetry title="Posts">
    <Resource name="ra_posts" options={{ label: "Posts" }} list={Posts} edit={EditPost} create={CreatePost} />
  </Admin>,
);
